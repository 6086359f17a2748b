package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"nimbus/client"
)

func newInvocationWhyCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "why ID",
		Short: "Explain a call: where its time went, which bounds it met, what to try",
		Long: "Explain a call: where its time went from the request's arrival to the answer, which bounds it met, and\n" +
			"the one thing most worth trying. ID is the request id of its answer. Calls that were refused (429, 503)\n" +
			"have no record.",
		Example: "nimbus invocation why 019e2b6c-7a51-7c3e-9d0f-2f6f3c1f9a10",
		Args:    arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			var w *client.Why
			err = c.progress(cmd.Context(), "asking "+api.Server(), func(ctx context.Context) error {
				w, err = api.Why(ctx, args[0])
				return err
			})
			if err != nil {
				return missing(err, "nimbus invocation list")
			}
			return c.print(w, func(t *table) { whyTable(t, w) })
		},
	}
}

// whyTable draws the steps that took time, and says the rest.
func whyTable(t *table, w *client.Why) {
	t.row("STEP", "TOOK", "SHARE", " ")
	for _, s := range w.Steps {
		if s.TookMS > 0 {
			t.row(s.Name, showMS(s.TookMS), fmt.Sprintf("%.1f %%", s.Share*100), bar(s.Share))
		}
	}
	t.row("total", showMS(w.TotalMS), " ", " ")
	t.gap()
	t.field("function", w.Namespace+"/"+w.FunctionName+":"+strconv.FormatInt(w.Version, 10))
	t.field("status", w.Status)
	t.field("start", w.Start)
	for _, l := range w.Limits {
		t.field("limit", l.Name+": "+l.Detail)
	}
	t.field("suggestion", w.Suggestion)
}

// barWidth is how many columns the whole takes.
const barWidth = 32

// bar draws a share as eighths of columns. What is there is seen, however little it is.
func bar(share float64) string {
	eighths := max(int(math.Round(share*barWidth*8)), 1)
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text
}
