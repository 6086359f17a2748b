// Package obs is what one sees of a running installation: structured logs of the platform, metrics, trace
// context, and the logs of functions.
package obs

import (
	"strconv"
	"time"

	"nimbus"
)

// LogLine is one line a function printed.
type LogLine struct {
	Seq        uint64 // its place in the function's log, given by the LogStore
	Time       time.Time
	Function   nimbus.ID
	Version    int64
	Invocation nimbus.ID // zero = printed outside a call; it belongs to the instance
	Instance   string
	Stream     string // StreamStdout, StreamStderr or StreamPlatform
	Text       string // without the newline
	Truncated  bool   // the line was longer than the bound
}

// The streams of a LogLine.
const (
	StreamStdout   = "stdout"
	StreamStderr   = "stderr"
	StreamPlatform = "platform" // the reason a call ended, a stack, lines that were dropped
)

// Cursor returns the LogQuery.Cursor that goes on after the line.
func (l LogLine) Cursor() string { return cursorOf(l.Seq + 1) }

// LogQuery selects lines of one function. Zero fields select everything.
type LogQuery struct {
	Function   nimbus.ID // required
	Invocation nimbus.ID
	Stream     string    // one of the streams
	Contains   string    // this text, whatever the case of its ASCII letters
	Since      time.Time // inclusive
	Until      time.Time // exclusive
	Limit      int       // 1–1000; 0 = 100
	Cursor     string    // as a former answer gave it, or LogLine.Cursor

	sought *needle // Contains, made ready by start
}

// LogQuery bounds.
const (
	DefaultLogLimit = 100
	MaxLogLimit     = 1000
	MaxLogText      = 1 << 10 // bytes of Contains
)

// LogStreams lists the streams.
func LogStreams() []string { return []string{StreamStdout, StreamStderr, StreamPlatform} }

// start checks the query, fills in its default and returns the place to read from.
func (q *LogQuery) start() (uint64, error) {
	var (
		v    nimbus.Invalid
		from uint64
	)
	if q.Function.IsZero() {
		v.Add("function", "is required")
	}
	if q.Limit == 0 {
		q.Limit = DefaultLogLimit
	}
	if q.Limit < 1 || q.Limit > MaxLogLimit {
		v.Add("limit", "must be 1 to %d", MaxLogLimit)
	}
	if len(q.Contains) > MaxLogText {
		v.Add("contains", "must have at most %d bytes", MaxLogText)
	} else if q.Contains != "" {
		q.sought = newNeedle(q.Contains)
	}
	if q.Cursor != "" {
		var err error
		if from, err = strconv.ParseUint(q.Cursor, cursorBase, 64); err != nil {
			v.Add("cursor", "must be one that a former answer gave")
		}
	}
	return from, v.Err()
}

// at reports whether lines of that time and invocation are asked for.
func (q *LogQuery) at(micros int64, invocation nimbus.ID) bool {
	return (q.Invocation.IsZero() || q.Invocation == invocation) &&
		(q.Since.IsZero() || micros >= q.Since.UnixMicro()) &&
		(q.Until.IsZero() || micros < q.Until.UnixMicro())
}

const cursorBase = 36

func cursorOf(seq uint64) string { return strconv.FormatUint(seq, cursorBase) }
