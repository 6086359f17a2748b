// Package driver declares the contract between the pool and what makes instances. The suite in drivertest
// specifies it; every driver passes it, and nothing above the contract asks which driver it has.
//
// An instance's life: Start makes it, blank or with code. A blank holds no user code, environment or
// secret of anyone. Specialize gives it the code of one version, once; from then on it serves that version
// only. Invoke hands it one event at a time. Stop ends it, and everything it ever started, at any moment
// and as often as one likes; Done is closed when nothing of it is left: no process, mount, cgroup or file.
// An instance that timed out, broke the protocol or a limit is stopped by the pool, never used again.
package driver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nimbus"
	"nimbus/internal/runtime"
	"nimbus/internal/wire"
)

// ErrNotSent says that an instance ended before anything of the event was handed over, or, where calls share it,
// before the call was begun: the event may be given to another. Invoke's error wraps it only when that is certain.
var ErrNotSent = errors.New("the event was not handed over")

// ErrFreshProcess says that the code comes with settings that act only when its runtime's process starts
// (runtime.Runtime.StartSettings), and that this process can't take them on any more: Start with Spec.Code gives
// them to a process of the code's own.
var ErrFreshProcess = errors.New("this setting needs a process that is started with it")

// Driver makes instances. Safe for concurrent use.
type Driver interface {
	// Name is the word users choose it by: "sandbox".
	Name() string
	// Probe says what the driver can do on this machine, and why not what it can't. It has no side effects
	// that outlast it.
	Probe(ctx context.Context) Report
	// Run keeps the driver's helpers (zygotes) alive until ctx ends, then stops every instance and helper
	// and returns. Start waits for Run.
	Run(ctx context.Context) error
	// Sweep removes what an earlier process with the same owner label left behind: processes, cgroups,
	// mounts, directories. It is called once, before Run.
	Sweep(ctx context.Context) (Swept, error)
	// Start makes an instance; with Spec.Code it is specialized too.
	Start(ctx context.Context, spec Spec) (Instance, error)
}

// Report is a probe's answer.
type Report struct {
	Healthy  bool
	Reason   string    // why not, in words a user can act on
	Features []Feature // each protection and limit on its own
}

// Feature is one protection or limit a driver offers.
type Feature struct {
	Name   string // "memory limit", "seccomp"
	OK     bool
	Detail string // how it is done, or why it is missing and what would help
	Luxury bool   // instances are no less safe without it
}

// FeatureSnapshots is the name of the feature that instances are started from snapshots, which
// pool.use_snapshots asks for.
const FeatureSnapshots = "snapshots"

// Swept counts what Sweep removed.
type Swept struct {
	Processes int
	Cgroups   int
	Mounts    int
}

// Spec is what an instance is started with.
type Spec struct {
	ID        string // names the instance in logs and records; unique
	Runtime   runtime.Runtime
	Resources Resources
	Output    Output // where stdout and stderr go; never nil
	Code      *Code  // nil = a blank
}

// Resources are an instance's limits.
type Resources struct {
	Memory   int64 // bytes
	CPUMilli int   // thousandths of a core
	PIDs     int
	Tmp      int64 // bytes of /tmp
}

// Code is what a blank becomes.
type Code struct {
	Dir       string // the unpacked package on the host, shared and read-only; shown at wire.InitMsg.CodeDir
	Init      wire.InitMsg
	Resources Resources
}

// Stream tells stdout from stderr.
type Stream uint8

// The streams.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

// Output receives what an instance prints, as it comes and in order per stream. Calls are serialized. It
// must not block for long. Everything printed before a result was sent has been handed over when Invoke
// returns that result.
type Output func(stream Stream, p []byte)

// Instance is one isolated place that runs one version of one function.
type Instance interface {
	ID() string
	// Specialize attaches the code, sets the limits and initialises the runtime with it. An *InitError is
	// the user's failure; after any error the instance must be stopped. Settings of a process's start are in
	// effect when it returns, or its error wraps ErrFreshProcess.
	Specialize(ctx context.Context, code Code) (Specialized, error)
	Invoker
	// Ping asks an idle instance for a sign of life.
	Ping(ctx context.Context) error
	Stats(ctx context.Context) (Stats, error)
	// Stop ends the instance and returns when nothing of it is left, or ctx ends. Idempotent.
	Stop(ctx context.Context) error
	// Done is closed when the instance has ended, by Stop or by itself.
	Done() <-chan struct{}
	// Exit says how it ended; valid once Done is closed.
	Exit() Exit
}

// Invoker runs calls, one at a time unless the code was given to the instance with wire.InitMsg.Concurrency: then
// as many at once, safely. What ends such an instance ends all its calls with the reason; how one call ends is no
// concern of the others. One that has to be stopped (a call of it timed out) takes no more calls, and is stopped
// when the last has ended: nobody pays for a neighbour.
type Invoker interface {
	// Invoke sends the event and waits for the outcome. ctx carries the deadline; when it ends Invoke
	// returns its error at once and the instance must be stopped. An error that is an *ExitError says the
	// runtime ended in the middle; wire.ErrProtocol that it broke the protocol.
	// After an outcome with Resp.Ending the instance takes no other call, and ends by itself when it runs none.
	Invoke(ctx context.Context, call *Call) (Outcome, error)
}

// Call is one event for an instance.
type Call struct {
	Meta  wire.ExecMeta
	Event []byte // JSON
	// Chunk receives the items of a streamed result (Meta.Stream), in order; raw is valid during the call
	// only. Its error cancels the stream.
	Chunk func(kind string, raw []byte) error
	// Output receives what the call prints where several run at once, as Spec.Output does elsewhere; nothing
	// once Invoke has returned. Spec.Output has the rest there: what can't be told to be a call's.
	Output Output
}

// Outcome is what user code came to.
type Outcome struct {
	Resp   wire.RespMeta
	Result []byte // JSON; nil when streamed or not OK
	// What the call used; zero where several run at once, because it can't be told apart.
	Memory nimbus.MemoryUse
	CPU    time.Duration
}

// Specialized tells how long the steps of Specialize took.
type Specialized struct {
	Attach time.Duration
	Init   time.Duration
}

// Stats is what an instance uses now.
type Stats struct {
	Memory     int64         // bytes
	MemoryPeak int64         // bytes, since it started
	CPU        time.Duration // since it started
	PIDs       int
}

// Exit says how an instance ended.
type Exit struct {
	Code        int  // exit status; -1 when ended by a signal or unknown
	Signal      int  // signal number, 0 when none
	OutOfMemory bool // the kernel killed it for its memory limit
	Stopped     bool // Stop ended it
}

// String says it in words.
func (e Exit) String() string {
	switch {
	case e.OutOfMemory:
		return "killed: over its memory limit"
	case e.Stopped:
		return "stopped"
	case e.Signal != 0:
		return fmt.Sprintf("killed by signal %d", e.Signal)
	case e.Code >= 0:
		return fmt.Sprintf("exit status %d", e.Code)
	}
	return "ended"
}

// Pauser is an instance that can be frozen while it is idle. A paused instance uses no CPU; Invoke and Ping
// need it resumed.
type Pauser interface {
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
}

// InitError is the user's failure to initialise: an import that raised, a handler that isn't there.
type InitError struct {
	Type    string
	Message string
	Stack   []string
}

// Error implements error.
func (e *InitError) Error() string { return e.Type + ": " + e.Message }

// ExitError says that the runtime ended in the middle of something.
type ExitError struct{ Exit Exit }

// Error implements error.
func (e *ExitError) Error() string { return "the runtime ended: " + e.Exit.String() }
