package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressSpeaksAfterASecond(t *testing.T) {
	t.Parallel()
	for takes, want := range map[time.Duration]string{
		patience - time.Millisecond: "",
		patience + time.Millisecond: "deploying x...\n",
		time.Hour:                   "deploying x...\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			c := &cli{err: &out}
			broken := errors.New("broken")
			err := c.progress(t.Context(), "deploying x", func(ctx context.Context) error {
				wait(ctx, takes)
				return broken
			})
			if !errors.Is(err, broken) || out.String() != want {
				t.Errorf("after %s it has said %q, and returns %v", takes, &out, err)
			}
		})
	}
}

func TestConfirmTakesAPlainYes(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, " yes ": true, "n\n": false, "\n": false, "": false, "yesterday\n": false} {
		var out bytes.Buffer
		c := &cli{in: strings.NewReader(answer), err: &out}
		if got := c.ask("delete it") == nil; got != want || !strings.Contains(out.String(), "delete it? [y/N]") {
			t.Errorf("%q was taken as %t after %q", answer, got, &out)
		}
	}
	var usage *usageError
	if err := (&cli{in: strings.NewReader("y\n")}).confirm("delete it"); !errors.As(err, &usage) {
		t.Errorf("without a terminal a yes from stdin gave %v", err)
	}
}
