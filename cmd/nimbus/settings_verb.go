package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"nimbus/client"
)

func newSettingsCommand(c *cli) *cobra.Command {
	group := newGroup("settings", "Show the server's configuration, and have it read again", "")
	group.AddCommand(&cobra.Command{
		Use:   "get [KEY]",
		Short: "Show what holds: every key, or one and those below it",
		Long: "Show what holds: every key, or one and those below it. A value behind an arrow was configured since and\n" +
			"takes a restart.",
		Example: "nimbus settings get pool",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return arguments("KEY")(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			found, err := asked(cmd.Context(), c, api, api.Settings)
			if err != nil {
				return err
			}
			if len(args) > 0 {
				if found.Items = below(found.Items, args[0]); len(found.Items) == 0 {
					return usagef("there is no key %s; `nimbus settings get` lists them", args[0])
				}
			}
			return c.print(found, func(t *table) { settingRows(t, found.Items) })
		},
	}, &cobra.Command{
		Use:   "reload",
		Short: "Have the server read its configuration again",
		Long: "Have the server read its file and environment again, as SIGHUP does. No call is dropped. When anything is\n" +
			"wrong, every problem is told and nothing changes; keys that take a restart are told and wait for it.",
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			done, err := asked(cmd.Context(), c, api, api.ReloadSettings)
			if err != nil {
				return err
			}
			return c.print(done, func(t *table) { reloadRows(t, done) })
		},
	})
	return group
}

// asked is the server's answer, with progress while it takes long.
func asked[T any](ctx context.Context, c *cli, api *client.Client, ask func(context.Context) (*T, error)) (*T, error) {
	var out *T
	err := c.progress(ctx, "asking "+api.Server(), func(ctx context.Context) (err error) {
		out, err = ask(ctx)
		return err
	})
	return out, err
}

// below returns the settings of that name, or of that section.
func below(all []client.Setting, name string) []client.Setting {
	var found []client.Setting
	for _, s := range all {
		if s.Name == name || strings.HasPrefix(s.Name, name+".") {
			found = append(found, s)
		}
	}
	return found
}

func settingRows(t *table, settings []client.Setting) {
	t.row("KEY", "VALUE", "RELOAD")
	for _, s := range settings {
		value, reload := s.Value, "restart"
		if s.Pending != "" {
			value += " -> " + s.Pending
		}
		if s.Live {
			reload = "live"
		}
		t.row(s.Name, value, reload)
	}
}

func reloadRows(t *table, done *client.Reload) {
	if len(done.Changed)+len(done.Pending) == 0 {
		t.row("nothing has changed")
		return
	}
	t.row("KEY", "FROM", "TO", "WHEN")
	for _, c := range done.Changed {
		t.row(c.Name, c.From, c.To, "now")
	}
	for _, c := range done.Pending {
		t.row(c.Name, c.From, c.To, "after a restart")
	}
}
