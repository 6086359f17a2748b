package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"nimbus/client"
)

func newRuntimeCommand(c *cli) *cobra.Command {
	group := newGroup("runtime", "Show the languages the server can run", "")
	group.AddCommand(&cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List runtimes",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			var found *client.Runtimes
			err = c.progress(cmd.Context(), "asking "+api.Server(), func(ctx context.Context) error {
				found, err = api.Runtimes(ctx)
				return err
			})
			if err != nil {
				return err
			}
			return c.print(found, func(t *table) { runtimeRows(t, found) })
		},
	})
	return group
}

func runtimeRows(t *table, found *client.Runtimes) {
	t.row("RUNTIME", "LANGUAGE", "VERSION", "HANDLER", "ALIASES", "PATH", "NEEDS")
	for _, r := range found.Items {
		t.row(r.Name, r.Language, r.Version, r.DefaultHandler, strings.Join(r.Aliases, ","), r.Path, strings.Join(r.Trees, " "))
	}
	t.gap()
	t.row("TOOLCHAIN", "VERSION", "PATH", "NEEDS")
	for _, c := range found.Toolchains {
		t.row(c.Language, c.Version, c.Path, strings.Join(c.Trees, " "))
	}
	if len(found.Rejected) > 0 {
		t.gap()
		t.row("NOT USED", "WHY NOT")
		for _, r := range found.Rejected {
			t.row(r.Path, r.Reason)
		}
	}
	t.gap()
	t.row("DRIVER", "HEALTHY", "WHY NOT")
	for _, d := range found.Drivers {
		t.row(d.Name, showYes(d.Healthy), d.Reason)
	}
}
