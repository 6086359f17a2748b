// Package invoke is the one door for every event: resolve, admit, lease, run, record.
package invoke

import (
	"time"

	"nimbus"
	"nimbus/internal/obs"
	"nimbus/internal/pool"
)

// Target is a function version that a request was resolved to. It is shared and immutable.
type Target struct {
	FunctionID  nimbus.ID
	Tenant      string
	Namespace   string
	Name        string
	Status      nimbus.Status
	Version     *nimbus.Version
	VersionText string // Version.Number in decimal, made once

	spec    *pool.Spec
	metrics *obs.FunctionMetrics
	lookup  lookup
}

// Request is one event for a target.
type Request struct {
	ID      nimbus.ID // the invocation's id and the caller's request id; zero = made here
	Arrived time.Time // when the request came; zero = now
	Trigger nimbus.TriggerType
	Event   []byte // JSON; empty = null. The call's record may keep it: nobody may change it afterwards
	// Traceparent is the W3C trace context that the call belongs to; "" = none.
	Traceparent string
	// Stream receives the items of a streamed result as they come; nil = a generator's items become one
	// array. kind and raw are those of driver.Call.Chunk. Its error cancels the stream.
	Stream func(kind string, raw []byte) error
	// Begin is called once an instance was had, before it gets the event; nil = not wanted. A streamed
	// answer learns from it how the call started before its first item comes.
	Begin    func(coldStart bool)
	WantLogs bool // fill Result.Logs
}

// Result is what user code came to. The platform's own failures are errors instead.
type Result struct {
	ID         nimbus.ID
	StatusCode int    // 200, 500 (exception), 504 (time-out), 507 (over its memory)
	Body       []byte // the handler's JSON; nil when it has none or was streamed
	Streamed   bool
	Error      string
	ErrorType  string
	Stack      []string
	Duration   time.Duration // Exec to Resp
	Billed     time.Duration
	ColdStart  bool
	Init       time.Duration // 0 on a warm call
	Memory     nimbus.MemoryUse
	CPU        time.Duration // 0 = not known
	Version    int64
	Logs       []string // lines, oldest first, when asked for

	ended *ended
}

// Query selects records for List. Empty fields select everything.
type Query struct {
	Namespace string // "" = the principal's default
	Function  string // id or name
	Status    nimbus.InvocationStatus
	Since     time.Time // created then or later
	Until     time.Time // created before
	Page      nimbus.Page
}
