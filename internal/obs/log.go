// Package obs is what one sees of a running installation: structured logs of the platform, metrics, trace
// context, and the logs of functions.
package obs

import (
	"time"

	"nimbus"
)

// LogLine is one line a function printed.
type LogLine struct {
	Time       time.Time
	Function   nimbus.ID
	Version    int64
	Invocation nimbus.ID // zero = printed outside a call; it belongs to the instance
	Instance   string
	Stream     string // stdout, stderr, or platform (the reason a call ended, a stack)
	Text       string // without the newline
	Truncated  bool   // the line was longer than the bound
}
