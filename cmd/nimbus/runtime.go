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
			var list *client.List[client.Runtime]
			err = c.progress(cmd.Context(), "asking "+api.Server(), func(ctx context.Context) error {
				list, err = api.Runtimes(ctx)
				return err
			})
			if err != nil {
				return err
			}
			return printList(c, list, []string{"NAME", "LANGUAGE", "VERSION", "ALIASES", "HANDLER"},
				func(r client.Runtime) []string {
					return []string{r.Name, r.Language, r.Version, strings.Join(r.Aliases, ","), r.DefaultHandler}
				})
		},
	})
	return group
}
