package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"nimbus/client"
)

func newFunctionCommand(c *cli) *cobra.Command {
	group := newGroup("function", "Create, change, show and delete functions", "")
	group.Aliases = []string{"fn"}
	group.AddCommand(
		newFunctionCreateCommand(c),
		newFunctionUpdateCommand(c),
		newFunctionGetCommand(c),
		newFunctionListCommand(c),
		newFunctionDeleteCommand(c),
	)
	return group
}

func newFunctionGetCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:               "get NAME",
		Short:             "Show a function",
		Args:              arguments("NAME"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			var f *client.Function
			err = c.progress(cmd.Context(), "asking "+api.Server(), func(ctx context.Context) error {
				f, err = api.Function(ctx, args[0])
				return err
			})
			if err != nil {
				return missing(err, "nimbus function list")
			}
			return c.printFunction(api, f)
		},
	}
}

func (c *cli) printFunction(api *client.Client, f *client.Function) error {
	return c.print(f, func(t *table) {
		t.field("name", f.Name)
		t.field("id", f.ID)
		t.field("namespace", f.Namespace)
		t.field("description", f.Description)
		t.field("status", f.Status)
		t.field("message", f.StatusMessage)
		t.field("version", strconv.FormatInt(f.Version, 10))
		t.field("runtime", f.Runtime)
		t.field("handler", f.Handler)
		t.field("toolchain", f.Toolchain)
		t.field("memory", strconv.FormatInt(f.MemoryMB, 10)+" MB")
		t.field("timeout", strconv.FormatInt(f.TimeoutSec, 10)+" s")
		t.field("tags", strings.Join(f.Tags, ", "))
		// Values may be secrets, and a screen is seen by others: json and yaml show them.
		t.field("env", strings.Join(sortedKeys(f.EnvVars), ", "))
		t.field("driver", f.Driver)
		t.field("capture", f.Capture)
		t.field("event format", f.EventFormat)
		if f.IdleTimeout != "0s" {
			t.field("idle timeout", f.IdleTimeout)
		}
		t.field("max concurrency", nonZero(f.MaxConcurrency))
		t.field("min instances", nonZero(f.MinInstances))
		if f.InstanceConcurrency > 1 {
			t.field("instance concurrency", strconv.Itoa(f.InstanceConcurrency))
		}
		if f.CPUMilli != 0 {
			t.field("cpu", fmt.Sprintf("%d/1000 of a core", f.CPUMilli))
		}
		t.field("tmp", fmt.Sprintf("%d MB", f.TmpMB))
		t.field("code hash", f.CodeHash)
		t.field("created", showTime(f.CreatedAt))
		t.field("updated", showTime(f.UpdatedAt))
		t.field("url", api.FunctionURL(f.Namespace, f.Name))
	})
}

func newFunctionListCommand(c *cli) *cobra.Command {
	var q client.FunctionQuery
	var paging paging
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List functions",
		Example: "nimbus function list --tag team=billing\nnimbus function list --all -o json",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			list, err := collect(cmd.Context(), c, paging, func(ctx context.Context, limit int, cursor string) (*client.List[client.Function], error) {
				q.Limit, q.Cursor = limit, cursor
				return api.ListFunctions(ctx, q)
			})
			if err != nil {
				return err
			}
			return printList(c, list, []string{"NAME", "RUNTIME", "VERSION", "STATUS", "MEMORY", "TIMEOUT", "UPDATED"},
				func(f client.Function) []string {
					return []string{f.Name, f.Runtime, strconv.FormatInt(f.Version, 10), f.Status,
						fmt.Sprintf("%d MB", f.MemoryMB), fmt.Sprintf("%d s", f.TimeoutSec), showTime(f.UpdatedAt)}
				})
		},
	}
	cmd.Flags().StringVar(&q.Name, "name", "", "only names that begin with this")
	cmd.Flags().StringArrayVar(&q.Tags, "tag", nil, "only functions with this tag, repeatable")
	cmd.Flags().StringVar(&q.Runtime, "runtime", "", "only functions of this runtime")
	cmd.Flags().StringVar(&q.Status, "status", "", "only functions that are building, active, failed or inactive")
	paging.addFlags(cmd)
	return cmd
}

func newFunctionDeleteCommand(c *cli) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:               "delete NAME",
		Short:             "Delete a function and all its versions",
		Args:              arguments("NAME"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			if !yes {
				if err := c.confirm("delete function " + args[0] + " and all its versions"); err != nil {
					return err
				}
			}
			err = c.progress(cmd.Context(), "deleting "+args[0], func(ctx context.Context) error {
				return api.DeleteFunction(ctx, args[0])
			})
			if err != nil {
				return missing(err, "nimbus function list")
			}
			return c.printDeleted("function", args[0])
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "don't ask")
	return cmd
}

// missing adds the verb that shows what is there to an error that says something is not.
func missing(err error, list string) error {
	var refusal *client.Problem
	if errors.As(err, &refusal) && refusal.Code == client.CodeNotFound {
		return fmt.Errorf("%w; `%s` shows what is there", err, list)
	}
	return err
}
