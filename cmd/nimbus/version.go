package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"nimbus/client"
)

// versionTime bounds how long a server may take to tell its version.
const versionTime = 3 * time.Second

// versions is what `nimbus version` prints.
type versions struct {
	Client string `json:"client_version"`
	Server string `json:"server_version,omitempty"`
}

func newVersionCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of this program and of the server",
		Args:  arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			v := versions{Client: buildVersion()}
			err = c.progress(cmd.Context(), "asking "+api.Server(), func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, versionTime)
				defer cancel()
				var health *client.Health
				if health, err = api.Health(ctx); err == nil {
					v.Server = health.Version
				}
				return err
			})
			// No server is no failure: this program's version is known all the same.
			return c.print(v, func(t *table) {
				t.row("client", v.Client)
				t.row("server", describeServer(api.Server(), v.Server, err))
			})
		},
	}
}

func describeServer(server, version string, err error) string {
	var unreachable *client.UnreachableError
	switch {
	case errors.As(err, &unreachable):
		return fmt.Sprintf("none at %s (%v)", server, innermost(unreachable.Err))
	case err != nil:
		return fmt.Sprintf("not known (%v)", err)
	}
	return version
}

// buildVersion is the module's version, or the commit it was built from.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
