package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"nimbus/client"
)

func newDeployCommand(c *cli) *cobra.Command {
	var name string
	var s settings
	cmd := &cobra.Command{
		Use:   "deploy PATH",
		Short: "Create or update a function from a file, a directory or a zip",
		Long: "Create or update a function from a file, a directory or a zip. The name is that of the file or\n" +
			"directory, the runtime and the handler are inferred from the code; on an update, what no flag\n" +
			"gives stays as it is. Source that has to be compiled is built on the server; when it can't be, the\n" +
			"compiler's message is printed and the version that was there serves on.\n\n" +
			"A directory may hold a .nimbusignore in the manner of .gitignore.",
		Example: "nimbus deploy examples/hello-python\nnimbus deploy report.py --handler report.main --env REGION=eu\n" +
			"nimbus deploy main.go --name resize --min-instances 2",
		Args: arguments("PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := s.input(cmd.Flags())
			if err != nil {
				return err
			}
			if in.Name = name; name == "" {
				if in.Name, err = nameOf(args[0]); err != nil {
					return err
				}
			}
			return c.deploy(cmd.Context(), args[0], in)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the function; default that of the file or directory")
	s.addFlags(cmd)
	return cmd
}

// nameOf is the function's name that a path suggests.
func nameOf(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	name := filepath.Base(abs)
	if ext := filepath.Ext(name); ext != name {
		name = strings.TrimSuffix(name, ext)
	}
	for _, r := range name {
		if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-", r) {
			return "", usagef("%q can't be a function's name: it has %q; give one with --name", name, r)
		}
	}
	return name, nil
}

// deployed is what deploy prints.
type deployed struct {
	*client.Function
	URL    string `json:"url"`
	Change change `json:"change"`
}

// change is what deploying came to.
type change string

const (
	changeCreated   change = "created"
	changeUpdated   change = "updated"
	changeUnchanged change = "unchanged"
	changeBuilding  change = "building"
	changeFailed    change = "failed"
)

func (c *cli) deploy(ctx context.Context, path string, in client.FunctionInput) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	var d deployed
	err = c.buildProgress(ctx, api, in.Name, "deploying "+in.Name, func(ctx context.Context) error {
		release, err := attach(ctx, &in, path)
		if err != nil {
			return err
		}
		defer release()
		d, err = put(ctx, api, in)
		return err
	})
	if err != nil {
		return err
	}
	d.URL = api.FunctionURL(d.Namespace, d.Name)
	err = c.print(d, func(t *table) { c.deployTable(t, api, d) })
	if err != nil {
		return err
	}
	return c.reportBuild(d.Function)
}

func (c *cli) deployTable(t *table, api *client.Client, d deployed) {
	switch d.Change {
	case changeFailed:
		return // stderr says it
	case changeBuilding:
		t.row(string(d.Change), fmt.Sprintf("%s; `nimbus function get %s` tells what came of it", d.Name, d.Name))
	default:
		t.row(string(d.Change), fmt.Sprintf("%s, version %d (%s, %s, %d MB, %d s)",
			d.Name, d.Version, d.Runtime, d.Handler, d.MemoryMB, d.TimeoutSec))
	}
	t.row("url", d.URL)
	t.row("try", c.curl(api, d.Function))
}

// put updates the function of that name, or creates it.
func put(ctx context.Context, api *client.Client, in client.FunctionInput) (deployed, error) {
	old, err := api.Function(ctx, in.Name)
	var refusal *client.Problem
	switch {
	case err == nil:
		in.Name = ""
		f, err := api.UpdateFunction(ctx, old.ID, in)
		if err != nil {
			return deployed{}, err
		}
		return deployed{Function: f, Change: changeOf(f, old)}, nil
	case errors.As(err, &refusal) && refusal.Code == client.CodeNotFound:
		f, err := api.CreateFunction(ctx, in)
		if err != nil {
			return deployed{}, err
		}
		return deployed{Function: f, Change: changeOf(f, nil)}, nil
	}
	return deployed{}, err
}

// changeOf says what became of a function; old is nil for a new one.
func changeOf(f, old *client.Function) change {
	_, failed := buildFailure(f)
	switch {
	case failed:
		return changeFailed
	case strings.HasSuffix(f.StatusMessage, beingBuilt):
		return changeBuilding
	case old == nil, old.Status == client.StatusFailed, old.Status == client.StatusBuilding: // it never served
		return changeCreated
	case f.Version == old.Version:
		return changeUnchanged
	}
	return changeUpdated
}

// curl is the command that calls the function without this program.
func (c *cli) curl(api *client.Client, f *client.Function) string {
	url := api.Server() + "/api/v1/functions/" + f.Name + "/invoke"
	if f.Namespace != "default" {
		url += "?namespace=" + f.Namespace
	}
	key := ""
	if c.apiKey != "" || c.getenv("NIMBUS_API_KEY") != "" {
		key = ` -H "Authorization: Bearer $NIMBUS_API_KEY"`
	}
	return fmt.Sprintf(`curl -s '%s'%s -d '{"name":"Ada"}'`, url, key)
}
