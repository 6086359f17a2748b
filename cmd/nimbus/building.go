package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"nimbus/client"
)

// buildProgress is progress for a change that may have something compiled: on a terminal it says how far that
// has come. Who leaves before the end is told when the build goes on.
func (c *cli) buildProgress(ctx context.Context, api *client.Client, function, what string, do func(context.Context) error) error {
	err := c.watchedProgress(ctx, api, function, what, do)
	if err != nil && ctx.Err() != nil {
		c.tellOfBuild(context.WithoutCancel(ctx), api, function)
	}
	return err
}

// tellOfBuild says how to see what becomes of the function's pending build, if it has one.
func (c *cli) tellOfBuild(ctx context.Context, api *client.Client, function string) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	f, err := api.Function(ctx, function)
	if err != nil || !strings.HasSuffix(f.StatusMessage, beingBuilt) {
		return // nothing goes on that could be seen
	}
	fmt.Fprintf(c.err, "the build of %[1]s goes on: `nimbus function get %[1]s` tells what comes of it, `nimbus logs %[1]s -f` how it goes\n", f.Name)
}

// lookTimeout bounds what a user who wants to leave waits for.
const lookTimeout = 2 * time.Second

func (c *cli) watchedProgress(ctx context.Context, api *client.Client, function, what string, do func(context.Context) error) error {
	if !isTerminal(c.err) {
		return c.progress(ctx, what, do)
	}
	var label atomic.Pointer[string]
	label.Store(&what)
	watch, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { watchBuild(watch, api, function, func(text string) { label.Store(&text) }) })
	err := c.progressOf(ctx, func() string { return *label.Load() }, do)
	stop()
	watcher.Wait()
	return err
}

// watchBuild tells each second what is being built, and the last thing the compiler said. What it can't find out
// is not told.
func watchBuild(ctx context.Context, api *client.Client, function string, tell func(string)) {
	begun := time.Now()
	for wait(ctx, time.Second) {
		f, err := api.Function(ctx, function)
		if err != nil || !strings.HasSuffix(f.StatusMessage, beingBuilt) {
			continue
		}
		text := "building " + function
		if f.Status == client.StatusBuilding { // else the runtime shown is that of the version that serves
			text += " (" + f.Runtime + ")"
		}
		if said := lastSaid(ctx, api, function, begun); said != "" {
			text += ": " + said
		}
		tell(text)
	}
}

// lastSaid is the last line of the platform's in the function's log since then.
func lastSaid(ctx context.Context, api *client.Client, function string, since time.Time) string {
	const width = 60 // of a line on a terminal
	lines, err := api.Logs(ctx, function, client.LogQuery{Since: since, Tail: 1})
	if err != nil || len(lines.Items) == 0 || lines.Items[0].Stream != "platform" {
		return ""
	}
	text := []rune(visible(lines.Items[0].Text))
	if len(text) > width {
		text = append(text[:width-1], '…')
	}
	return string(text)
}

// What a status message says of a version that is not there yet.
const (
	beingBuilt    = " is being built"
	couldNotBuild = "version %d could not be built: "
)

// buildFailure returns what the compiler said, when the last change of the function could not be built.
func buildFailure(f *client.Function) (message string, failed bool) {
	if f.Status == client.StatusFailed {
		return f.StatusMessage, true
	}
	return strings.CutPrefix(f.StatusMessage, fmt.Sprintf(couldNotBuild, f.Version+1))
}

// reportBuild says on stderr why a change could not be built, in the compiler's own lines.
func (c *cli) reportBuild(f *client.Function) error {
	message, failed := buildFailure(f)
	if !failed {
		return nil
	}
	for line := range strings.Lines(message) {
		fmt.Fprintln(c.err, visible(strings.TrimSuffix(line, "\n")))
	}
	if f.Status == client.StatusFailed {
		fmt.Fprintf(c.err, "nimbus: %s could not be built; deploy it again when that is put right\n", f.Name)
	} else {
		fmt.Fprintf(c.err, "nimbus: %s could not be built anew; version %d serves on\n", f.Name, f.Version)
	}
	return errReported
}
