//go:build linux

package agent

import (
	"context"

	"nimbus/internal/wire"
)

// callStdin gives the event to a process of its own.
func (f *function) callStdin(ctx context.Context, call *wire.Call) (wire.RespMeta, []byte) {
	about, err := f.init.Context().Of(&call.Meta)
	if err != nil {
		return wire.RespMeta{Type: typeExit, Message: err.Error()}, nil
	}
	f.ahead.Wait()
	r := f.next
	f.next = nil
	if r != nil {
		answer := f.tryStdin(ctx, call, r, about)
		if !answer.again {
			return answer.meta, answer.raw
		}
	}
	// None was started ahead, or it ended while it waited: nobody asks why. This one is asked.
	if r, err = f.start(); err != nil {
		return notStarted(f.path, f.init.CodeDir, err), nil
	}
	answer := f.tryStdin(ctx, call, r, about)
	return answer.meta, answer.raw
}

// attempt is what came of an event given to one process.
type attempt struct {
	outcome
	again bool // the process ended badly without having read any of it
}

// tryStdin gives the event to a process. The call is over when that is; nothing it left behind lives on.
func (f *function) tryStdin(ctx context.Context, call *wire.Call, r *run, about []byte) attempt {
	session := f.api.current()
	err := r.give(about, call.Event)
	if err != nil {
		f.children.kill(r.process)
	}
	select {
	case <-r.done:
	case <-session.asked:
		f.become(r)
		meta, raw := f.callAPI(ctx, call)
		return attempt{outcome: outcome{meta, raw}}
	case <-ctx.Done():
		f.children.kill(r.process)
		<-r.done
	}
	f.children.sweep()
	f.lose(r)
	a := attempt{again: ctx.Err() == nil && r.untouched()}
	a.meta, a.raw = r.outcome()
	r.close()
	if err != nil {
		a.outcome = outcome{meta: wire.RespMeta{Type: typeExit, Message: err.Error()}}
	}
	if !f.eager && !a.again {
		f.ahead.Go(f.startAhead)
	}
	return a
}

// startAhead starts the next call's process. Should that fail, the call will find out and say so.
func (f *function) startAhead() {
	if r, err := f.start(); err == nil {
		f.next = r
	}
}
