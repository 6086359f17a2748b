package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"charm.land/fang/v2"
	"github.com/spf13/cobra"
)

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, c *cli, args []string) int {
	root := newRootCommand(c)
	root.SetArgs(args)
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	// fang draws the help; cobra runs the verbs, so that no error waits for a terminal to tell its colours.
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		root.SetArgs(append(strings.Fields(cmd.CommandPath())[1:], "--help"))
		if err := fang.Execute(ctx, root, fang.WithoutManpage(), fang.WithoutCompletions(),
			fang.WithoutVersion()); err != nil {
			fmt.Fprintln(c.err, "nimbus:", err)
		}
	})
	return c.report(root.ExecuteContext(ctx))
}

// newRootCommand is the tree of verbs.
func newRootCommand(c *cli) *cobra.Command {
	root := newGroup("nimbus", "Run functions on your own machines",
		"Nimbus is a self-hosted serverless platform in one binary: `nimbus serve` is the server,\n"+
			"every other verb talks to one.")
	root.Version = buildVersion()
	root.SetVersionTemplate("nimbus {{.Version}}\n")
	root.SilenceUsage = true
	root.SilenceErrors = true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	c.addGlobalFlags(root)
	root.AddGroup(
		&cobra.Group{ID: groupFunctions, Title: "functions"},
		&cobra.Group{ID: groupServer, Title: "server"},
	)
	root.SetHelpCommandGroupID(groupServer)
	add := func(group string, verbs ...*cobra.Command) {
		for _, v := range verbs {
			v.GroupID = group
		}
		root.AddCommand(verbs...)
	}
	add(groupFunctions,
		newDeployCommand(c),
		newFunctionCommand(c),
		newInvokeCommand(c),
		newLogsCommand(c),
		newInvocationCommand(c),
	)
	add(groupServer,
		newServeCommand(c),
		newDoctorCommand(c),
		newBackupCommand(c),
		newRestoreCommand(c),
		newRuntimeCommand(c),
		newTopCommand(c),
		newSettingsCommand(c),
		newAPIKeyCommand(c),
		newVersionCommand(c),
		newCompletionCommand(),
	)
	return root
}

const (
	groupFunctions = "functions"
	groupServer    = "server"
)

// newGroup is a command that only holds others: alone it shows its help, with a word it does not know it
// is wrong usage.
func newGroup(use, short, long string) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Long:  long,
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownVerb(cmd, args[0])
		},
	}
}

// report prints what went wrong, if anything did, and returns the exit code: 0 done, 1 refused or failed,
// 2 wrong usage.
func (c *cli) report(err error) int {
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errReported):
		return 1
	case errors.As(err, &usage):
		fmt.Fprintf(c.err, "nimbus: %s\n", usage)
		return 2
	}
	fmt.Fprintf(c.err, "nimbus: %s\n", c.explain(err))
	return 1
}
