package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// foreign is text that a function printed, for a stream. On a terminal control characters are shown instead of
// obeyed: they could move the cursor and make up lines of others. Elsewhere the text is as it was printed.
func foreign(stream io.Writer, text string) string {
	if !isTerminal(stream) {
		return text
	}
	return visible(text)
}

// visible writes control characters, but for tabs, as Go would.
func visible(text string) string {
	if strings.IndexFunc(text, controls) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if controls(r) {
			fmt.Fprintf(&b, `\x%02x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func controls(r rune) bool { return r != '\t' && unicode.IsControl(r) }
