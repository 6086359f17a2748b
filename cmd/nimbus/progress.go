package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"charm.land/bubbles/v2/spinner"
	"golang.org/x/term"
)

// patience is how long something may take before the user is told what it is.
const patience = time.Second

// progress runs do, and says on stderr what is going on when it takes long: a spinner on a terminal, one
// plain line elsewhere.
func (c *cli) progress(ctx context.Context, what string, do func(context.Context) error) error {
	return c.progressOf(ctx, func() string { return what }, do)
}

// progressOf is progress of something that changes its name meanwhile.
func (c *cli) progressOf(ctx context.Context, what func() string, do func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		c.showProgress(ctx, what)
	}()
	err := do(ctx)
	stop()
	<-shown
	return err
}

func (c *cli) showProgress(ctx context.Context, what func() string) {
	begun := time.Now()
	if !wait(ctx, patience) {
		return
	}
	if !isTerminal(c.err) {
		fmt.Fprintf(c.err, "%s...\n", what())
		return
	}
	const eraseLine = "\r\x1b[K"
	for frame := 0; ; frame++ {
		fmt.Fprintf(c.err, "%s%s %s (%d s)", eraseLine, spinner.MiniDot.Frames[frame%len(spinner.MiniDot.Frames)],
			what(), int(time.Since(begun).Seconds()))
		if !wait(ctx, spinner.MiniDot.FPS) {
			fmt.Fprint(c.err, eraseLine)
			return
		}
	}
}

// wait reports whether the time passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
