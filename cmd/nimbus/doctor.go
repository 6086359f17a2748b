package main

import "github.com/spf13/cobra"

func newDoctorCommand(c *cli) *cobra.Command {
	var flags serveFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Tell what can run on this machine, and why not what can't",
		Long: "Try every protection and limit that instances need, and look for runtimes, on this machine and as this user.\n" +
			"Nothing is changed and no server is needed. The exit code is 1 when functions can't run here.",
		Example: "sudo nimbus doctor",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDoctor(cmd.Context(), c, flags.sources(cmd))
		},
	}
	cmd.Flags().StringVar(&flags.config, "config", "", "configuration file of the server, YAML")
	return cmd
}
