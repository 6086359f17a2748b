package main

import "github.com/spf13/cobra"

func newCompletionCommand() *cobra.Command {
	group := newGroup("completion", "Write the completion script of a shell", "")
	group.AddCommand(
		&cobra.Command{
			Use:     "bash",
			Short:   "Completion for bash",
			Example: "source <(nimbus completion bash)",
			Args:    arguments(),
			RunE: func(cmd *cobra.Command, _ []string) error {
				return cmd.Root().GenBashCompletionV2(cmd.OutOrStdout(), true)
			},
		},
		&cobra.Command{
			Use:     "zsh",
			Short:   "Completion for zsh",
			Example: "nimbus completion zsh > \"${fpath[1]}/_nimbus\"",
			Args:    arguments(),
			RunE: func(cmd *cobra.Command, _ []string) error {
				return cmd.Root().GenZshCompletion(cmd.OutOrStdout())
			},
		},
	)
	return group
}
