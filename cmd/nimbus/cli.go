package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nimbus/client"
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

func (c *cli) addGlobalFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVar(&c.server, "server", c.setting("NIMBUS_SERVER", client.DefaultServer), "where the server is, as a URL ($NIMBUS_SERVER)")
	// The help shows defaults, and the key is a secret: the environment's is read when a client is made.
	flags.StringVar(&c.apiKey, "api-key", "", "key to present to the server ($NIMBUS_API_KEY)")
	flags.StringVarP(&c.namespace, "namespace", "n", c.setting("NIMBUS_NAMESPACE", ""),
		"namespace of the functions ($NIMBUS_NAMESPACE; default the key's, else default)")
	c.output = formatTable
	flags.VarP(&c.output, "output", "o", "table, json or yaml")
	// Only a name that is registered twice fails.
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

// setting is a value of the environment, or what it is without one.
func (c *cli) setting(name, otherwise string) string {
	if v := c.getenv(name); v != "" {
		return v
	}
	return otherwise
}

// client is the server that the global flags name.
func (c *cli) client() (*client.Client, error) {
	key := c.apiKey
	if key == "" {
		key = c.getenv("NIMBUS_API_KEY")
	}
	api, err := client.New(c.server, client.WithAPIKey(key), client.WithNamespace(c.namespace),
		client.WithUserAgent("nimbus/"+buildVersion()))
	if err != nil {
		return nil, usagef("--%v", err)
	}
	return api, nil
}

// completionTime bounds what pressing Tab may take.
const completionTime = time.Second

// completeFunctions offers the names of functions for the first argument.
func (c *cli) completeFunctions(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	api, err := c.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	page, err := api.ListFunctions(ctx, client.FunctionQuery{Name: prefix, Limit: 100})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names := make([]string, len(page.Items))
	for i, f := range page.Items {
		names[i] = f.Name + "\t" + strings.TrimSpace(f.Runtime+" "+f.Description)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
