package main

import (
	"os"

	"github.com/spf13/cobra"

	"nimbus/internal/config"
)

// serveFlags are the settings that have a flag; every setting has a key in the file and an environment
// variable.
type serveFlags struct {
	config   string
	listen   string
	dataDir  string
	insecure bool
	logLevel string
}

func newServeCommand(c *cli) *cobra.Command {
	var flags serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server in the foreground until it is told to stop (SIGTERM, Ctrl-C); calls that run then end first.\n" +
			"It needs no configuration: without any it listens on loopback and keeps its data in ./data. Settings come\n" +
			"from the file, then the environment (server.listen is NIMBUS_SERVER_LISTEN), then flags.",
		Example: "nimbus serve --config /etc/nimbus/nimbus.yaml",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runServe(cmd.Context(), c, flags.sources(cmd))
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.config, "config", "", "configuration file, YAML")
	f.StringVar(&flags.listen, "listen", "", "address to listen on (server.listen, default 127.0.0.1:8080)")
	f.StringVar(&flags.dataDir, "data-dir", "", "directory of everything that is kept (data_dir, default ./data)")
	f.BoolVar(&flags.insecure, "insecure", false, "listen beyond loopback without asking for keys (server.insecure)")
	f.StringVar(&flags.logLevel, "log-level", "", "debug, info, warn or error (log.level, default info)")
	return cmd
}

// sources are the places that settings come from. Only flags that were given count.
func (f *serveFlags) sources(cmd *cobra.Command) config.Sources {
	given := map[string]any{}
	for flag, key := range map[string]string{"listen": "server.listen", "data-dir": "data_dir",
		"insecure": "server.insecure", "log-level": "log.level"} {
		if found := cmd.Flags().Lookup(flag); found != nil && found.Changed {
			given[key] = found.Value.String()
		}
	}
	return config.Sources{File: f.config, Environ: os.Environ(), Flags: given}
}
