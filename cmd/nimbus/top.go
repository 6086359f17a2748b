package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"nimbus/client"
)

// maxTopPages bounds the pages of instances that are read for one picture.
const maxTopPages = 10

// topFlags say what `nimbus top` shows, and how often.
type topFlags struct {
	once     bool
	interval time.Duration
	order    topOrder
	limit    int
}

func newTopCommand(c *cli) *cobra.Command {
	flags := topFlags{order: orderBusy}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show the instances there are, what they do and what they use",
		Long: "Show the instances there are, their states, ages, uses, memory and processor time, anew every two seconds\n" +
			"until it is told to stop (Ctrl-C). On a terminal it shows as many instances as fit, elsewhere all of them\n" +
			"(of the first 1000), and with -o json one line of JSON each time.",
		Example: "nimbus top --sort memory\nnimbus top --once -o json",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if flags.interval < 100*time.Millisecond {
				return usagef("--interval must be at least 100ms")
			}
			if flags.limit < 0 {
				return usagef("--limit must not be below 0")
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			return c.top(cmd.Context(), api, flags)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&flags.once, "once", false, "show it once")
	f.DurationVar(&flags.interval, "interval", 2*time.Second, "how often to show it")
	f.Var(&flags.order, "sort", "what comes first: busy, memory, cpu, uses, age, state or function")
	f.IntVar(&flags.limit, "limit", 0, "instances to show at most; 0 = as many as fit, or all")
	// Only a name that is registered twice fails.
	_ = cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(topOrders(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// top shows one picture after the other. Once there was one, an error is shown and tried again.
func (c *cli) top(ctx context.Context, api *client.Client, flags topFlags) error {
	live := c.output == formatTable && isTerminal(c.out) && !flags.once
	for shown := false; ; shown = true {
		pools, err := c.readPools(ctx, api)
		switch {
		case ctx.Err() != nil && shown:
			return nil // that is how one leaves it
		case err != nil && (flags.once || !shown):
			return err
		case err != nil:
			fmt.Fprintf(c.err, "nimbus: %s\n", c.explain(err))
		default:
			flags.order.sort(pools)
			if err := c.showPools(api, pools, flags, live); err != nil {
				return err
			}
		}
		if flags.once || !wait(ctx, flags.interval) {
			return nil
		}
	}
}

// readPools puts the pages together.
func (c *cli) readPools(ctx context.Context, api *client.Client) (*client.Pools, error) {
	var whole *client.Pools
	err := c.progress(ctx, "asking "+api.Server(), func(ctx context.Context) error {
		page, err := api.Pools(ctx, maxPage, "")
		for whole = page; err == nil && page.NextCursor != "" && len(whole.Instances) < maxTopPages*maxPage; {
			page, err = api.Pools(ctx, maxPage, page.NextCursor)
			if err == nil {
				whole.Instances = append(whole.Instances, page.Instances...)
				whole.NextCursor = page.NextCursor
			}
		}
		return err
	})
	return whole, err
}

// showPools prints one picture; a live one replaces the one before.
func (c *cli) showPools(api *client.Client, pools *client.Pools, flags topFlags, live bool) error {
	if c.output != formatTable {
		if flags.limit > 0 {
			pools.Instances = pools.Instances[:min(flags.limit, len(pools.Instances))]
		}
		if flags.once {
			return c.printDocument(pools)
		}
		return c.printLine(pools)
	}
	var picture bytes.Buffer
	t := newTable(&picture)
	poolRows(t, pools)
	t.gap()
	shown := pools.Instances
	if room := c.topRoom(pools, live); flags.limit > 0 || room > 0 {
		shown = shown[:min(cmp.Or(flags.limit, room), len(shown))]
	}
	instanceRows(t, shown, pools.Time)
	if err := t.flush(); err != nil {
		return err
	}
	head := topHead(api.Server(), pools, len(shown))
	if live {
		const home, eraseRest = "\x1b[H\x1b[2J", "\x1b[J"
		_, err := fmt.Fprintf(c.out, "%s%s\n\n%s%s", home, head, picture.String(), eraseRest)
		return err
	}
	_, err := fmt.Fprintf(c.out, "%s\n\n%s\n", head, picture.String())
	return err
}

// topRoom is how many instances fit on the terminal; 0 = however many there are.
func (c *cli) topRoom(pools *client.Pools, live bool) int {
	f, ok := c.out.(*os.File)
	if !ok || !live {
		return 0
	}
	_, height, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	const around = 7 // head, gaps, two rows of names, and the cursor's line
	return max(height-around-len(pools.Pools), 1)
}

func topHead(server string, pools *client.Pools, shown int) string {
	size, warm, busy := 0, 0, 0
	for _, p := range pools.Pools {
		size, warm, busy = size+p.Size, warm+p.Warm, busy+p.Busy
	}
	head := fmt.Sprintf("%s at %s: %d instances, %d warm, %d busy; %d calls held",
		server, pools.Time.Local().Format(time.TimeOnly), size, warm, busy, pools.Held)
	if shown < size {
		head += fmt.Sprintf("; %d shown", shown)
	}
	return head
}

func poolRows(t *table, pools *client.Pools) {
	t.row("RUNTIME", "DRIVER", "FUNCTIONS", "SIZE", "BUSY", "IDLE", "FROZEN", "BLANK", "STARTING", "STOPPING", "MAX")
	for _, p := range pools.Pools {
		count := func(states ...string) string {
			n := 0
			for _, s := range states {
				n += p.States[s]
			}
			return strconv.Itoa(n)
		}
		name := p.Runtime
		if p.Failing {
			name += " (failing)"
		}
		t.row(name, p.Driver, strconv.Itoa(p.Functions), strconv.Itoa(p.Size), count("leased"), count("idle"), count("frozen"),
			count("blank"), count("starting", "specializing"), count("stopping"), strconv.Itoa(p.MaxTotal))
	}
}

func instanceRows(t *table, instances []client.Instance, now time.Time) {
	t.row("INSTANCE", "STATE", "FUNCTION", "VERSION", "AGE", "CALLS", "USES", "SINCE", "MEMORY", "PEAK", "CPU")
	for _, in := range instances {
		name, version := "", ""
		if in.FunctionID != "" {
			name, version = in.Namespace+"/"+in.FunctionName, strconv.FormatInt(in.Version, 10)
		}
		t.row(shortID(in.ID), in.State, name, version, showAge(now.Sub(in.StartedAt)),
			strconv.Itoa(in.Calls), strconv.Itoa(in.Uses), showAge(now.Sub(sinceOf(&in))), showKnown(in.MemoryMB, showMB), showKnown(in.PeakMB, showMB), showKnown(in.CPUMS, showMS))
	}
}

// sinceOf is when the instance began to do what it does: its call, or its rest.
func sinceOf(in *client.Instance) time.Time {
	switch {
	case in.BusySince != nil:
		return *in.BusySince
	case in.UsedAt != nil:
		return *in.UsedAt
	}
	return in.StartedAt
}

// showAge is a duration in its two largest units: 3h12m, 45s.
func showAge(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(d, 0); {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Second).String(), "0s")
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}

func showKnown(v *float64, show func(float64) string) string {
	if v == nil {
		return ""
	}
	return show(*v)
}
