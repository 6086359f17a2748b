package pooltest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"nimbus/internal/driver"
	"nimbus/internal/wire"
)

// Instance is a driver.Instance and driver.Pauser in memory.
type Instance struct {
	Spec   driver.Spec
	driver *Driver
	done   chan struct{}

	mu     sync.Mutex
	code   *driver.Code
	calls  int
	busy   int
	paused bool
	exit   driver.Exit
	over   bool
}

// ID implements driver.Instance.
func (in *Instance) ID() string { return in.Spec.ID }

// Code returns what the instance was specialized with; nil for a blank.
func (in *Instance) Code() *driver.Code {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.code
}

// Calls counts the events it was handed.
func (in *Instance) Calls() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.calls
}

// Paused reports whether it is frozen.
func (in *Instance) Paused() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.paused
}

// Die ends the instance as if by itself.
func (in *Instance) Die(exit driver.Exit) { in.end(exit) }

// Print makes the instance print.
func (in *Instance) Print(stream driver.Stream, text string) { in.Spec.Output(stream, []byte(text)) }

// Specialize implements driver.Instance.
func (in *Instance) Specialize(ctx context.Context, code driver.Code) (driver.Specialized, error) {
	in.mu.Lock()
	twice := in.code != nil
	in.code = &code
	in.mu.Unlock()
	if twice {
		in.driver.violation(in, "was specialized twice")
	}
	began := time.Now()
	if in.driver.OnInit != nil {
		if err := in.driver.OnInit(ctx, in); err != nil {
			return driver.Specialized{}, err
		}
	}
	return driver.Specialized{Init: time.Since(began)}, nil
}

// Invoke implements driver.Invoker. It answers with the event unless the driver's hook says otherwise.
func (in *Instance) Invoke(ctx context.Context, call *driver.Call) (driver.Outcome, error) {
	in.mu.Lock()
	if in.over {
		in.mu.Unlock()
		return driver.Outcome{}, fmt.Errorf("send the event: %w", driver.ErrNotSent)
	}
	in.busy++
	busy, paused, blank := in.busy > in.atOnce(), in.paused, in.code == nil
	in.calls++
	in.mu.Unlock()
	switch {
	case busy:
		in.driver.violation(in, "was handed more events at once than it takes")
	case paused:
		in.driver.violation(in, "was handed an event while paused")
	case blank:
		in.driver.violation(in, "was handed an event while blank")
	}
	defer func() {
		in.mu.Lock()
		in.busy--
		in.mu.Unlock()
	}()
	if in.driver.OnInvoke == nil {
		return Echo(call), nil
	}
	return in.driver.OnInvoke(ctx, in, call)
}

// atOnce is how many events it takes. The caller holds the mutex.
func (in *Instance) atOnce() int {
	if in.code == nil {
		return 1
	}
	return max(1, in.code.Init.Concurrency)
}

// Echo is the outcome of a handler that returns its event.
func Echo(call *driver.Call) driver.Outcome {
	return driver.Outcome{Resp: wire.RespMeta{OK: true}, Result: call.Event}
}

// Ended is the outcome of a runtime that ends in the middle of a call.
func (in *Instance) Ended(exit driver.Exit) (driver.Outcome, error) {
	in.end(exit)
	return driver.Outcome{}, &driver.ExitError{Exit: exit}
}

// Ping implements driver.Instance.
func (in *Instance) Ping(ctx context.Context) error {
	if in.Paused() {
		in.driver.violation(in, "was pinged while paused")
	}
	if in.driver.OnPing != nil {
		return in.driver.OnPing(ctx, in)
	}
	return nil
}

// Stats implements driver.Instance.
func (in *Instance) Stats(ctx context.Context) (driver.Stats, error) {
	if in.driver.OnStats != nil {
		return in.driver.OnStats(ctx, in)
	}
	return driver.Stats{}, nil
}

// Pause implements driver.Pauser.
func (in *Instance) Pause(context.Context) error {
	in.mu.Lock()
	busy := in.busy > 0
	in.paused = true
	in.mu.Unlock()
	if busy {
		in.driver.violation(in, "was paused in the middle of a call")
	}
	return nil
}

// Resume implements driver.Pauser.
func (in *Instance) Resume(context.Context) error {
	if in.driver.OnResume != nil {
		if err := in.driver.OnResume(in); err != nil {
			return err
		}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.paused = false
	return nil
}

// Stop implements driver.Instance.
func (in *Instance) Stop(context.Context) error {
	in.end(driver.Exit{Code: -1, Stopped: true})
	return nil
}

// Done implements driver.Instance.
func (in *Instance) Done() <-chan struct{} { return in.done }

// Exit implements driver.Instance.
func (in *Instance) Exit() driver.Exit {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.exit
}

func (in *Instance) end(exit driver.Exit) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.over {
		in.over, in.exit = true, exit
		close(in.done)
	}
}

func (in *Instance) ended() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.over
}
