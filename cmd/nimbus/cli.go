package main

import (
	"io"

	"github.com/spf13/cobra"
)

// cli is what a verb may touch of the outside, and what the global flags say.
type cli struct {
	in     io.Reader
	out    io.Writer
	err    io.Writer
	getenv func(string) string

	server    string
	apiKey    string
	namespace string
	output    format
}

const defaultServer = "http://127.0.0.1:8080"

func (c *cli) addGlobalFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVar(&c.server, "server", c.setting("NIMBUS_SERVER", defaultServer), "where the server is ($NIMBUS_SERVER)")
	// A default would be shown by the help, and the key is a secret: it is read when a client is made.
	flags.StringVar(&c.apiKey, "api-key", "", "API key ($NIMBUS_API_KEY)")
	flags.StringVarP(&c.namespace, "namespace", "n", c.setting("NIMBUS_NAMESPACE", "default"),
		"namespace of functions ($NIMBUS_NAMESPACE)")
	c.output = formatTable
	flags.VarP(&c.output, "output", "o", "table, json or yaml")
}

// setting is a value of the environment, or what it is without one.
func (c *cli) setting(name, otherwise string) string {
	if v := c.getenv(name); v != "" {
		return v
	}
	return otherwise
}
