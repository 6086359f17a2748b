//go:build linux

package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"unicode/utf8"

	"nimbus/internal/wire"
)

// The types of failures, as the other runtimes have them.
const (
	typeExit      = "Runtime.ExitError"
	typeMarshal   = "Runtime.MarshalError"
	typeStart     = "Runtime.InvalidEntrypoint"
	typeTruncated = "Runtime.TruncatedResponse"
)

const (
	maxExcerpt = 200 // bytes of an output that is no JSON
	goCrash    = 2   // the exit status of a Go program that panicked
)

// ended describes a process that ended where it should have answered.
func ended(p *process, stderr *stderr) wire.RespMeta {
	if crashed(p) && stderr != nil {
		if meta, ok := parseCrash(stderr.report()); ok {
			return meta
		}
	}
	meta := wire.RespMeta{Type: typeExit, Message: p.end()}
	if stderr != nil {
		stderr.flush()
		if last := stderr.last(); last != "" {
			meta.Message += ": " + last
		}
	}
	return meta
}

// endedUnasked describes a process that ended before it had asked the Runtime API for an event.
func endedUnasked(p *process, stderr *stderr) wire.RespMeta {
	meta := ended(p, stderr)
	if p.status.Exited() && p.status.ExitStatus() == 0 {
		meta.Message = "it ended without asking the runtime API for an event: " + meta.Message
	}
	return meta
}

func crashed(p *process) bool {
	return p.status.Exited() && p.status.ExitStatus() == goCrash || p.status.Signaled() && p.status.Signal() == syscall.SIGABRT
}

// parseCrash reads the last words of a Go program: what happened, then the goroutines.
func parseCrash(report string) (wire.RespMeta, bool) {
	for _, prefix := range crashes() {
		rest, ok := strings.CutPrefix(report, prefix)
		if !ok {
			continue
		}
		message, stack, found := strings.Cut(rest, "\n\ngoroutine ")
		meta := wire.RespMeta{Type: strings.TrimSuffix(prefix, ": "), Message: strings.TrimSpace(strings.ReplaceAll(message, "\n\t", "\n"))}
		if found {
			meta.Stack = strings.Split(strings.TrimSpace("goroutine "+stack), "\n")
			for i, line := range meta.Stack {
				meta.Stack[i] = strings.ReplaceAll(line, "\t", "    ")
			}
		}
		return meta, true
	}
	return wire.RespMeta{}, false
}

// result makes the outcome of what a program that ended well printed: one JSON value.
func result(out []byte) (wire.RespMeta, []byte) {
	out = bytes.TrimSpace(out)
	if json.Valid(out) {
		return wire.RespMeta{OK: true}, out
	}
	fail := func(format string, args ...any) (wire.RespMeta, []byte) {
		return wire.RespMeta{Type: typeMarshal, Message: fmt.Sprintf(format, args...)}, nil
	}
	if len(out) == 0 {
		return fail("the program ended without a result: it is to print one JSON value to stdout")
	}
	decoder := json.NewDecoder(bytes.NewReader(out))
	var first json.RawMessage
	err := decoder.Decode(&first)
	switch {
	case err == nil:
		after := bytes.TrimSpace(out[decoder.InputOffset():])
		return fail("stdout has more than the one JSON value that is the result; behind it comes %s (logs belong on stderr)", excerpt(after))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fail("the JSON on stdout is cut short: %s", excerpt(out))
	}
	return fail("stdout is to be one JSON value, but begins %s: %v (logs belong on stderr)", excerpt(out), err)
}

// excerpt quotes the beginning.
func excerpt(b []byte) string {
	if len(b) <= maxExcerpt {
		return fmt.Sprintf("%q", b)
	}
	n := maxExcerpt
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return fmt.Sprintf("%q…", b[:n])
}
