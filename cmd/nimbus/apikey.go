package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nimbus/client"
)

func newAPIKeyCommand(c *cli) *cobra.Command {
	group := newGroup("apikey", "Create, list and delete API keys", "")
	group.AddCommand(newAPIKeyCreateCommand(c), newAPIKeyListCommand(c), newAPIKeyDeleteCommand(c))
	return group
}

func newAPIKeyCreateCommand(c *cli) *cobra.Command {
	var in client.APIKeyInput
	var expires time.Duration
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Create an API key; its secret is shown this once",
		Example: "nimbus apikey create --name ci --scope write --scope invoke --expires-in 720h",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if in.Name == "" {
				return usagef("--name is missing; it tells keys apart")
			}
			if len(in.Scopes) == 0 {
				return usagef("--scope is missing; give read, write, invoke or admin")
			}
			if cmd.Flags().Changed("expires-in") {
				if expires <= 0 {
					return usagef("--expires-in must be more than 0")
				}
				in.ExpiresIn = expires.String()
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			var key *client.APIKey
			err = c.progress(cmd.Context(), "creating "+in.Name, func(ctx context.Context) error {
				key, err = api.CreateAPIKey(ctx, in)
				return err
			})
			if err != nil {
				return err
			}
			return c.printNewKey(key)
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.Name, "name", "", "name of the key")
	f.StringArrayVar(&in.Scopes, "scope", nil, "right of the key, repeatable: read, write, invoke or admin")
	// It takes the place of the global flag: a key belongs to no namespace, it reaches some.
	f.StringArrayVarP(&in.Namespaces, "namespace", "n", nil, "namespace the key may reach, repeatable; default all")
	f.DurationVar(&expires, "expires-in", 0, "how long the key is good for, such as 720h; default for ever")
	return cmd
}

func (c *cli) printNewKey(key *client.APIKey) error {
	err := c.print(key, func(t *table) {
		t.field("id", key.ID)
		t.field("name", key.Name)
		t.field("scopes", strings.Join(key.Scopes, ", "))
		t.field("namespaces", namespacesOf(key))
		t.field("expires", expiryOf(key))
		t.field("secret", key.Secret)
	})
	if err == nil && c.output == formatTable {
		_, err = fmt.Fprintln(c.err, "keep the secret now: it is never shown again")
	}
	return err
}

func namespacesOf(key *client.APIKey) string {
	if len(key.Namespaces) == 0 {
		return "all"
	}
	return strings.Join(key.Namespaces, ", ")
}

func expiryOf(key *client.APIKey) string {
	if key.ExpiresAt == nil {
		return "never"
	}
	return showTime(*key.ExpiresAt)
}

func newAPIKeyListCommand(c *cli) *cobra.Command {
	var paging paging
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List API keys",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			list, err := collect(cmd.Context(), c, paging, api.ListAPIKeys)
			if err != nil {
				return err
			}
			return printList(c, list, []string{"ID", "NAME", "SCOPES", "NAMESPACES", "EXPIRES", "CREATED"},
				func(k client.APIKey) []string {
					return []string{k.ID, k.Name, strings.Join(k.Scopes, ","), namespacesOf(&k), expiryOf(&k), showTime(k.CreatedAt)}
				})
		},
	}
	paging.addFlags(cmd)
	return cmd
}

func newAPIKeyDeleteCommand(c *cli) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete KEY",
		Short: "Revoke an API key, by id or name",
		Args:  arguments("KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			if !yes {
				if err := c.confirm("revoke API key " + args[0]); err != nil {
					return err
				}
			}
			err = c.progress(cmd.Context(), "revoking "+args[0], func(ctx context.Context) error {
				return api.DeleteAPIKey(ctx, args[0])
			})
			if err != nil {
				return missing(err, "nimbus apikey list")
			}
			return c.printDeleted("API key", args[0])
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "don't ask")
	return cmd
}
