package main

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"nimbus/client"
)

// maxTail is what the server takes.
const maxTail = 1000

func newLogsCommand(c *cli) *cobra.Command {
	var q client.LogQuery
	var since, until moment
	var follow bool
	var limit int
	cmd := &cobra.Command{
		Use:   "logs NAME",
		Short: "Show what a function printed",
		Long: "Show what a function printed, oldest first: every line, or those of a time or of one invocation.\n" +
			"With -o json each line is one line of JSON. A follower reconnects by itself.",
		Example:           "nimbus logs hello-python -f --tail 10\nnimbus logs hello-python --since 5m --grep time-out",
		Args:              arguments("NAME"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			now := time.Now()
			q.Since, q.Until = since.before(now), until.before(now)
			if follow && !q.Until.IsZero() {
				return usagef("--follow and --until exclude each other")
			}
			if cmd.Flags().Changed("tail") && (q.Tail < 1 || q.Tail > maxTail) {
				return usagef("--tail must be 1 to %d", maxTail)
			}
			if cmd.Flags().Changed("grep") && q.Contains == "" {
				return usagef("--grep must not be empty")
			}
			if cmd.Flags().Changed("limit") && limit < 1 {
				return usagef("--limit must be at least 1")
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			lines := c.storedLogs(cmd.Context(), api, args[0], q)
			if follow {
				lines = api.FollowLogs(cmd.Context(), args[0], q, c.showInterruption)
			}
			return missing(c.printLogs(lines, limit), "nimbus function list")
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with every new line")
	cmd.Flags().Var(&since, "since", "only lines since: a duration such as 5m, or a time")
	cmd.Flags().Var(&until, "until", "only lines until: a duration such as 5m, or a time")
	cmd.Flags().StringVar(&q.Invocation, "invocation", "", "only the lines of this invocation")
	cmd.Flags().StringVar(&q.Contains, "grep", "", "only lines with this text, in upper or lower case")
	cmd.Flags().StringVar(&q.Stream, "stream", "", "only lines of this stream: stdout, stderr or platform")
	cmd.Flags().IntVar(&q.Tail, "tail", 0, "begin with the last so many lines; default with the first")
	cmd.Flags().IntVar(&limit, "limit", 0, "stop after so many lines; 0 = never")
	return cmd
}

// storedLogs yields the lines there are. Waiting for the first of each page is shown as progress.
func (c *cli) storedLogs(ctx context.Context, api *client.Client, function string, q client.LogQuery) iter.Seq2[client.LogLine, error] {
	return func(yield func(client.LogLine, error) bool) {
		for {
			var page *client.List[client.LogLine]
			err := c.progress(ctx, "reading the log of "+function, func(ctx context.Context) (err error) {
				page, err = api.Logs(ctx, function, q)
				return err
			})
			if err != nil {
				yield(client.LogLine{}, err)
				return
			}
			for _, line := range page.Items {
				if !yield(line, nil) {
					return
				}
			}
			if q.Cursor, q.Tail = page.NextCursor, 0; q.Cursor == "" {
				return
			}
		}
	}
}

func (c *cli) printLogs(lines iter.Seq2[client.LogLine, error], limit int) error {
	printed := 0
	for line, err := range lines {
		if err != nil {
			return err
		}
		if err := c.printLog(line); err != nil {
			return err
		}
		if printed++; printed == limit {
			break
		}
	}
	return nil
}

func (c *cli) printLog(line client.LogLine) error {
	if c.output != formatTable {
		return c.printLine(line)
	}
	text := line.Text
	if line.Truncated {
		text += " [cut]"
	}
	_, err := fmt.Fprintf(c.out, "%s %-8s %-8s %s\n", line.Time.Local().Format("2006-01-02 15:04:05.000"),
		shortID(line.InvocationID), line.Stream, foreign(c.out, text))
	return err
}

// shortID is the random end of an id: ids of one moment begin alike.
func shortID(id string) string {
	if len(id) > 8 {
		return id[len(id)-8:]
	}
	if id == "" {
		return "-"
	}
	return id
}

func (c *cli) showInterruption(err error, wait time.Duration) {
	fmt.Fprintf(c.err, "nimbus: %s; trying again in %s\n", c.explain(err), max(wait.Round(time.Second), time.Second))
}
