package main

import (
	"context"
	"errors"
	"fmt"
)

// supervisor runs the long-lived parts of the server. They start in order and stop in reverse, each only
// once those that were started after it have stopped: what serves calls ends before what the calls need.
type supervisor struct {
	parts  []*part
	failed chan error // the first part that ended by itself
}

type part struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of Run; read once done is closed
}

func newSupervisor() *supervisor { return &supervisor{failed: make(chan error, 1)} }

// start runs a part until stop, or until it ends by itself, which is told on failed. The part's context has
// ctx's values and not its end.
func (s *supervisor) start(ctx context.Context, name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &part{name: name, cancel: cancel, done: make(chan struct{})}
	s.parts = append(s.parts, p)
	go func() {
		defer close(p.done)
		p.err = run(ctx)
		if ctx.Err() != nil {
			return // it was stopped
		}
		select {
		case s.failed <- fmt.Errorf("%s ended: %w", name, orUnexplained(p.err)):
		default: // one reason to stop is enough
		}
	}()
}

var errUnexplained = errors.New("for no reason given")

func orUnexplained(err error) error {
	if err == nil {
		return errUnexplained
	}
	return err
}

// stop ends every part, the last started first, and returns what they had to complain about.
func (s *supervisor) stop() error {
	var errs []error
	for i := len(s.parts) - 1; i >= 0; i-- {
		p := s.parts[i]
		p.cancel()
		<-p.done
		if p.err != nil && !errors.Is(p.err, context.Canceled) {
			errs = append(errs, fmt.Errorf("stop %s: %w", p.name, p.err))
		}
	}
	s.parts = nil
	return errors.Join(errs...)
}
