package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nimbus/client"
)

func newInvocationCommand(c *cli) *cobra.Command {
	group := newGroup("invocation", "Show what became of calls", "")
	group.AddCommand(newInvocationGetCommand(c), newInvocationListCommand(c), newInvocationWhyCommand(c))
	return group
}

func newInvocationGetCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "get ID",
		Short: "Show the record of a call",
		Args:  arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			var i *client.Invocation
			err = c.progress(cmd.Context(), "asking "+api.Server(), func(ctx context.Context) error {
				i, err = api.Invocation(ctx, args[0])
				return err
			})
			if err != nil {
				return missing(err, "nimbus invocation list")
			}
			return c.print(i, func(t *table) { invocationFields(t, i) })
		},
	}
}

func invocationFields(t *table, i *client.Invocation) {
	t.field("id", i.ID)
	t.field("function", i.Namespace+"/"+i.FunctionName)
	t.field("version", strconv.FormatInt(i.Version, 10))
	t.field("trigger", i.TriggerType)
	t.field("status", i.Status)
	t.field("error", strings.Trim(i.ErrorType+": "+i.Error, ": "))
	t.field("attempt", strconv.Itoa(i.Attempt))
	t.field("created", showTime(i.CreatedAt))
	t.field("duration", showMS(i.DurationMS))
	t.field("billed", showMS(i.BilledTimeMS))
	if i.MemoryUsedMB != nil {
		t.field("memory", strings.TrimSpace(showMB(*i.MemoryUsedMB)+" "+memoryScope(i)))
	}
	if i.CPUMS != nil {
		t.field("cpu", showMS(*i.CPUMS))
	}
	t.field("trace", i.TraceID)
	t.field("instance", i.VMID)
	t.field("cold start", showYes(i.ColdStart))
	if i.Phases != nil {
		t.field("phases", phasesText(i))
	}
	t.field("input", string(i.Input))
	t.field("output", string(i.Output))
}

// phasesText lists the phases that took time, and those of a cold start whatever they took.
func phasesText(i *client.Invocation) string {
	var parts []string
	add := func(name string, ms float64, always bool) {
		if ms > 0 || always {
			parts = append(parts, name+" "+showMS(ms))
		}
	}
	p := i.Phases
	add("route", p.RouteMS, false)
	add("admit", p.AdmitMS, false)
	add("held", p.HoldMS, i.ColdStart)
	add("claim", p.ClaimMS, i.ColdStart)
	add("attach", p.AttachMS, i.ColdStart)
	add("init", p.InitMS, i.ColdStart)
	add("write", p.WriteMS, false)
	return strings.Join(parts, ", ")
}

// memoryScope is said only where the number may mislead: the kernel could not tell the call's peak.
func memoryScope(i *client.Invocation) string {
	if i.MemoryScope == "instance" {
		return "(peak of the instance)"
	}
	return ""
}

func newInvocationListCommand(c *cli) *cobra.Command {
	var q client.InvocationQuery
	var since, until moment
	var paging paging
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List calls, newest first",
		Example: "nimbus invocation list --function hello-python --status failed --since 1h",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			q.Since, q.Until = since.before(now), until.before(now)
			api, err := c.client()
			if err != nil {
				return err
			}
			list, err := collect(cmd.Context(), c, paging, func(ctx context.Context, limit int, cursor string) (*client.List[client.Invocation], error) {
				q.Limit, q.Cursor = limit, cursor
				return api.ListInvocations(ctx, q)
			})
			if err != nil {
				return missing(err, "nimbus function list")
			}
			return printList(c, list, []string{"ID", "FUNCTION", "VERSION", "STATUS", "ERROR", "DURATION", "COLD", "CREATED"},
				func(i client.Invocation) []string {
					return []string{i.ID, i.FunctionName, strconv.FormatInt(i.Version, 10), i.Status, i.ErrorType,
						showMS(i.DurationMS), showYes(i.ColdStart), showTime(i.CreatedAt)}
				})
		},
	}
	cmd.Flags().StringVar(&q.Function, "function", "", "only calls of this function")
	cmd.Flags().StringVar(&q.Status, "status", "", "only calls that are pending, running, success, failed, timeout or cancelled")
	cmd.Flags().Var(&since, "since", "only calls since: a duration such as 5m, or a time")
	cmd.Flags().Var(&until, "until", "only calls until: a duration such as 5m, or a time")
	paging.addFlags(cmd)
	return cmd
}
