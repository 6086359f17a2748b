package wasm

import (
	"bytes"
	"io"
	"strings"
)

// maxLine is how much of a line of stderr is looked at, in bytes.
const maxLine = 1 << 10

// lastWords passes on what an instance prints to stderr, and keeps what tells why it has ended.
type lastWords struct {
	to       io.Writer
	line     []byte // the beginning of the one that is being printed
	last     string // the last one that isn't empty
	panicked string // how a language's runtime has said that the program panicked
}

// Write implements io.Writer.
func (w *lastWords) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		part, behind, ended := bytes.Cut(rest, []byte("\n"))
		w.line = append(w.line, part[:min(len(part), maxLine-len(w.line))]...)
		if rest = behind; ended {
			w.end()
		}
	}
	return w.to.Write(p)
}

func (w *lastWords) end() {
	line := strings.TrimSpace(string(w.line))
	w.line = w.line[:0]
	if line == "" {
		return
	}
	const rust = "panicked at "
	switch {
	case strings.HasPrefix(w.last, "thread '") && strings.Contains(w.last, rust) && w.panicked == w.last:
		w.panicked += " " + line // what it panicked with
	case w.panicked != "":
	case strings.HasPrefix(line, "panic: "), strings.HasPrefix(line, "fatal error: "), // Go
		strings.HasPrefix(line, "thread '") && strings.Contains(line, rust):
		w.panicked = line
	}
	w.last = line
}

// reason returns the line that says best why the program has ended; "" when it has printed nothing.
func (w *lastWords) reason() string {
	w.end()
	if w.panicked != "" {
		return w.panicked
	}
	return w.last
}

// forget is for the next instance.
func (w *lastWords) forget() { w.line, w.last, w.panicked = w.line[:0], "", "" }
