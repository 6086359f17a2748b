package wire

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Sink receives what a call sends before its answer.
type Sink struct {
	// Chunk takes the items of a streamed result, in order and on the goroutine of Exec, as Conn.Exec describes.
	Chunk func(kind string, raw []byte) error
	// Log takes what the call prints. It is called by the connection's reader and must not block for long; p is
	// valid during the call only. Never called once Exec has returned; nil = nobody wants it.
	Log func(stream string, p []byte)
}

// muxCall is one Exec of a Mux.
type muxCall struct {
	number uint64
	wanted bool          // its items
	signal chan struct{} // holds a token when something was added

	logging sync.Mutex // held while log is called
	log     func(stream string, p []byte)

	// Guarded by the mux's mutex.
	credit int64 // payload bytes the runtime may still send; one frame may overdraw it
	total  int64 // bytes of items
	items  []item
	left   bool // Exec has returned
}

// item is one chunk, or the answer.
type item struct {
	kind   string
	raw    []byte
	cost   int64 // of credit
	answer *RespMeta
}

// Exec hands over an event and waits for the outcome, as Conn.Exec does. When ctx ends it returns the error at
// once and the runtime is told that the call is cancelled; until it has answered all the same, it counts among
// those it runs. The error wraps ErrUnsent when the event did not reach the runtime, or the
// runtime says that it has not begun with it.
func (m *Mux) Exec(ctx context.Context, meta *ExecMeta, event []byte, to Sink) (RespMeta, []byte, error) {
	c := &muxCall{
		wanted: meta.Stream && to.Chunk != nil, signal: make(chan struct{}, 1), log: to.Log, credit: InitialWindow,
	}
	if err := m.out.take(ctx); err != nil {
		return RespMeta{}, nil, err
	}
	// Numbers are issued by turns: on the wire they only grow.
	if err := m.admit(c); err != nil {
		m.out.give()
		return RespMeta{}, nil, err
	}
	defer m.running.Done()
	sent, err := m.out.exec(ctx, c.number, meta, event)
	m.out.give()
	if err != nil {
		m.leave(c, sent)
		if ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", ErrUnsent, err)
		}
		return RespMeta{}, nil, err
	}
	answer, raw, err := m.follow(ctx, c, to.Chunk)
	m.leave(c, begun)
	return answer, raw, err
}

// follow passes the items of a call on until it is answered.
func (m *Mux) follow(ctx context.Context, c *muxCall, chunk func(kind string, raw []byte) error) (RespMeta, []byte, error) {
	var refused error // chunk's
	var patience <-chan time.Time
	var consumed int64 // credit not given back yet
	for {
		one, err := m.next(ctx, c, patience)
		switch {
		case errors.Is(err, ErrStuck):
			return RespMeta{}, nil, fmt.Errorf("%w: %w", err, refused)
		case err != nil:
			return RespMeta{}, nil, err
		case one.answer != nil && one.answer.Unrun:
			return RespMeta{}, nil, fmt.Errorf("%w: the runtime ended before it was begun", ErrUnsent)
		case one.answer != nil && refused != nil:
			return *one.answer, nil, refused
		case one.answer != nil:
			return *one.answer, one.raw, nil
		case refused != nil:
			continue
		}
		if refused = chunk(one.kind, one.raw); refused != nil {
			patience = time.After(m.grace)
			m.later(Cancel, c.number)
			continue
		}
		if consumed += one.cost; consumed < grantStep {
			continue
		}
		m.grant(c, consumed)
		err = m.out.send(ctx, Window, c.number, windowPayload(consumed))
		if err != nil && ctx.Err() != nil {
			return RespMeta{}, nil, ctx.Err()
		}
		// That the runtime no longer listens is no error here: its last frames may still wait to be read.
		consumed = 0
	}
}

// next waits for something of the call.
func (m *Mux) next(ctx context.Context, c *muxCall, patience <-chan time.Time) (item, error) {
	for over := m.over; ; {
		m.mu.Lock()
		if len(c.items) > 0 {
			one := c.items[0]
			c.items = c.items[1:]
			m.waiting -= one.cost
			m.mu.Unlock()
			m.room.Signal()
			return one, nil
		}
		m.mu.Unlock()
		if over == nil {
			return item{}, m.err
		}
		select {
		case <-c.signal:
		case <-over:
			over = nil // what came last is still to be taken
		case <-patience:
			return item{}, fmt.Errorf("%w within %s", ErrStuck, m.grace)
		case <-ctx.Done():
			return item{}, ctx.Err()
		}
	}
}

// grant gives credit back.
func (m *Mux) grant(c *muxCall, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.credit += bytes
}

// leave ends an Exec. One that the runtime still owes an answer is cancelled.
func (m *Mux) leave(c *muxCall, sent progress) {
	c.logging.Lock()
	c.log = nil
	c.logging.Unlock()
	m.mu.Lock()
	c.left = true
	for _, one := range c.items {
		m.waiting -= one.cost
	}
	c.items = nil
	_, owed := m.calls[c.number]
	switch {
	case owed && sent == unbegun:
		m.forget(c)
	case owed && m.err == nil:
		m.later(Cancel, c.number)
	}
	m.mu.Unlock()
	m.room.Signal()
}

// print hands on what the call prints.
func (c *muxCall) print(stream string, p []byte) {
	c.logging.Lock()
	defer c.logging.Unlock()
	if c.log != nil {
		c.log(stream, p)
	}
}

// spend takes what a chunk costs off the credit. The caller holds the mux's mutex, as everywhere below.
func (c *muxCall) spend(cost, size, bound int64) error {
	switch {
	case !c.wanted:
		return protocolError("a chunk that was not asked for")
	case c.credit <= 0:
		return protocolError("a chunk without credit")
	}
	c.credit -= cost
	if c.total += size; bound > 0 && c.total > bound {
		return protocolError("a stream over its bound of %d bytes", bound)
	}
	return nil
}

// add makes Exec find something.
func (c *muxCall) add(one item) {
	if c.left {
		return
	}
	c.items = append(c.items, one)
	select {
	case c.signal <- struct{}{}:
	default:
	}
}
