package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// turns writes whole frames for many, one at a time. A writer may be called away in the middle of a frame, by the
// end of its context: the next one finishes it, so that one call's impatience costs the others nothing.
type turns struct {
	rw   Transport
	turn chan struct{} // holds a token while someone has the turn

	// Of who has the turn.
	out    []byte
	pair   [2][]byte
	vec    net.Buffers
	rest   []byte // of a frame whose writer was called away
	broken error  // why nothing more can be sent

	mu     sync.Mutex
	writes uint64 // counts them, so that a late interrupt of one can't hit the next
	timed  bool   // the transport has a deadline set
}

// progress is how far the sending of a frame has come.
type progress uint8

const (
	unbegun progress = iota // nothing of it was written, nor will be
	begun                   // some or all of it
)

// take waits for the turn.
func (t *turns) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// give ends the turn.
func (t *turns) give() {
	if cap(t.out) > keepBuffer {
		t.out = nil
	}
	<-t.turn
}

// send writes a frame in a turn of its own.
func (t *turns) send(ctx context.Context, kind Type, number uint64, payload []byte) error {
	if err := t.take(ctx); err != nil {
		return err
	}
	defer t.give()
	t.out = AppendFrame(t.out[:0], kind, number, payload)
	_, err := t.write(ctx, nil)
	return err
}

// exec writes an Exec. The caller has the turn.
func (t *turns) exec(ctx context.Context, number uint64, meta *ExecMeta, event []byte) (progress, error) {
	out, err := appendExec(t.out[:0], number, meta, len(event))
	if err != nil {
		return unbegun, err
	}
	if len(event) <= copyBelow {
		t.out = append(out, event...)
		return t.write(ctx, nil)
	}
	t.out = out
	return t.write(ctx, event)
}

// write writes what a writer before has left, then t.out and tail behind it.
func (t *turns) write(ctx context.Context, tail []byte) (progress, error) {
	if t.broken != nil {
		return unbegun, t.broken
	}
	stop := t.begin(ctx)
	defer t.end(stop)
	if len(t.rest) > 0 {
		n, err := t.rw.Write(t.rest)
		t.rest = t.rest[n:]
		if err != nil {
			return unbegun, t.failed(ctx, err)
		}
		t.rest = nil
	}
	n, err := t.writeFrame(tail)
	if err == nil {
		return begun, nil
	}
	if err = t.failed(ctx, err); n == 0 || t.broken != nil {
		return unbegun, err
	}
	t.rest = slices.Concat(t.out[min(n, len(t.out)):], tail[max(n-len(t.out), 0):])
	return begun, err
}

func (t *turns) writeFrame(tail []byte) (int, error) {
	if len(tail) == 0 {
		return t.rw.Write(t.out)
	}
	t.pair = [2][]byte{t.out, tail}
	t.vec = t.pair[:]
	n, err := t.vec.WriteTo(t.rw)
	t.pair = [2][]byte{}
	return int(n), err
}

// failed says what a transport's error means. All but the end of ctx are final.
func (t *turns) failed(ctx context.Context, err error) error {
	err = transportError(ctx, "write", err)
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		t.broken = fmt.Errorf("nothing more can be sent: %w", err)
	}
	return err
}

// begin has the end of ctx interrupt a write. What it returns goes to end.
func (t *turns) begin(ctx context.Context) (stop func() bool) {
	write := t.writes // only changed by end, in this turn
	return context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.writes == write {
			t.timed = true
			_ = t.rw.SetWriteDeadline(time.Unix(1, 0)) // a closed transport shows at the write
		}
	})
}

// end undoes begin.
func (t *turns) end(stop func() bool) {
	stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writes++
	if t.timed {
		t.timed = false
		_ = t.rw.SetWriteDeadline(time.Time{})
	}
}
