package main

import (
	"bytes"
	"testing"
)

func TestForeignTextIsShownNotObeyed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain\ttext, ü 🎉":               "plain\ttext, ü 🎉",
		"\x1b]0;title\x07\x1b[31mred":    `\x1b]0;title\x07\x1b[31mred`,
		"mine\r2026-01-01 forged":        `mine\x0d2026-01-01 forged`,
		"\u009b2J C1 counts too\x7f\x00": `\x9b2J C1 counts too\x7f\x00`,
	} {
		if got := visible(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
		if got := foreign(&bytes.Buffer{}, text); got != text {
			t.Errorf("no terminal, and %q becomes %q", text, got)
		}
	}
}
