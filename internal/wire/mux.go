package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrUnsent says that a runtime was not handed an event, or not all of it, and so doesn't run it.
var ErrUnsent = errors.New("the event was not handed over")

// maxWaiting bounds the bytes of streams that have come and that nobody has taken yet. Beyond it nothing more is
// read, so a runtime with many streams and slow readers waits as one with a single stream does.
const maxWaiting = 64 << 20

// Mux is the platform's side of a connection on which several calls run at once. Safe for concurrent use. How a
// call ends is its own affair, and the others go on; what ends the connection ends them all, each with the reason.
type Mux struct {
	in        *Reader
	out       turns
	most      int
	maxResult int64
	maxStream int64
	grace     time.Duration
	running   sync.WaitGroup // the reader, and what begins while it reads
	over      chan struct{}  // closed when nothing more will be read

	mu      sync.Mutex
	room    sync.Cond           // waiting has become less, or Close was called
	calls   map[uint64]*muxCall // that the runtime has not answered, those that were given up among them
	pings   map[uint64]chan struct{}
	issued  uint64 // the last invocation number
	pinged  uint64 // the last number of a Ping
	waiting int64  // bytes of chunks that have come and nobody has taken
	late    int    // answers dropped since the last call began
	ending  bool   // the runtime takes no more calls, and ends when told to
	stopped bool   // it was told to
	closed  bool
	err     error // why nothing more will be read
}

// Mux goes on with the connection for several calls at once, as many as InitMsg.Concurrency said. Init must have
// succeeded; the Conn is not to be used any more.
func (c *Conn) Mux(atOnce int) *Mux {
	m := &Mux{
		in: c.in, out: turns{rw: c.rw, turn: make(chan struct{}, 1)}, most: atOnce,
		maxResult: c.maxResponse, maxStream: c.maxStream, grace: c.grace, over: make(chan struct{}),
		calls: make(map[uint64]*muxCall), pings: make(map[uint64]chan struct{}), issued: c.issued, pinged: c.pings,
	}
	m.room.L = &m.mu
	m.running.Go(m.read)
	return m
}

// Close closes the transport, which makes everything under way return. Wait says when it has.
func (m *Mux) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.room.Broadcast()
	return m.out.rw.Close()
}

// Wait returns when the connection has ended, and with it every call.
func (m *Mux) Wait() { m.running.Wait() }

// Ping asks for a sign of life.
func (m *Mux) Ping(ctx context.Context) error {
	answered := make(chan struct{})
	m.mu.Lock()
	if m.err != nil {
		m.mu.Unlock()
		return m.err
	}
	m.running.Add(1)
	m.pinged++
	number := m.pinged
	m.pings[number] = answered
	m.mu.Unlock()
	defer m.running.Done()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.pings, number)
	}()
	if err := m.out.send(ctx, Ping, number, nil); err != nil {
		return err
	}
	select {
	case <-answered:
		return nil
	case <-m.over:
		return m.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read takes frames in until the connection ends.
func (m *Mux) read() {
	for {
		f, err := m.in.Next()
		if err == nil {
			err = m.take(f)
		} else if !errors.Is(err, ErrProtocol) {
			err = transportError(context.Background(), "read", err)
		}
		if err != nil {
			m.mu.Lock()
			m.err = err
			m.mu.Unlock()
			close(m.over)
			return
		}
	}
}

// take acts on one frame.
func (m *Mux) take(f Frame) error {
	switch f.Type {
	case Resp:
		return m.answer(f)
	case Chunk:
		return m.chunk(f)
	case Log:
		return m.log(f)
	case Pong:
		m.mu.Lock()
		defer m.mu.Unlock()
		if answered, ok := m.pings[f.Invocation]; ok {
			delete(m.pings, f.Invocation)
			close(answered)
			return nil
		}
		return m.stray(f, f.Invocation > 0 && f.Invocation <= m.pinged)
	}
	return m.stray(f, false)
}

func (m *Mux) answer(f Frame) error {
	meta, raw, err := decodeResp(f.Payload)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.calls[f.Invocation]
	if c == nil {
		return m.stray(f, f.Invocation <= m.issued)
	}
	if err := checkResult(&meta, len(raw), c.wanted, m.maxResult); err != nil {
		return err
	}
	if meta.Unrun && (meta.OK || c.total > 0) {
		return protocolError("a result of a call that was not run")
	}
	m.ending = m.ending || meta.Ending || meta.Unrun
	m.forget(c)
	if len(raw) == 0 {
		raw = nil
	} else if !f.owned && !c.left {
		raw = bytes.Clone(raw)
	}
	c.add(item{answer: &meta, raw: raw})
	return nil
}

func (m *Mux) chunk(f Frame) error {
	kind, raw, err := decodeChunk(f.Payload)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.calls[f.Invocation]
	if c == nil {
		return m.stray(f, f.Invocation > 0 && f.Invocation <= m.issued)
	}
	if err := c.spend(int64(len(f.Payload)), int64(len(raw)), m.maxStream); err != nil {
		return err
	}
	if c.left {
		return nil
	}
	if !f.owned {
		raw = bytes.Clone(raw)
	}
	one := item{kind: kind, raw: raw, cost: int64(len(f.Payload))}
	m.waiting += one.cost
	c.add(one)
	for m.waiting > maxWaiting && !m.closed {
		m.room.Wait()
	}
	return nil
}

// log hands on what a call prints, before the call's answer is. What a finished one still prints is nobody's.
func (m *Mux) log(f Frame) error {
	stream, raw, err := decodeLog(f.Payload)
	if err != nil {
		return err
	}
	m.mu.Lock()
	c, issued := m.calls[f.Invocation], f.Invocation > 0 && f.Invocation <= m.issued
	m.mu.Unlock()
	switch {
	case !issued:
		return unasked(f)
	case c != nil:
		c.print(stream, raw)
	}
	return nil
}

// stray drops a late answer, within bounds, and refuses what is none. The caller holds the mutex, as everywhere
// below.
func (m *Mux) stray(f Frame, late bool) error {
	if !late {
		return unasked(f)
	}
	if m.late++; m.late > maxLate {
		return protocolError("more than %d late frames during one call", maxLate)
	}
	return nil
}

// forget notes that the runtime owes a call nothing more. One that is ending is told to, when that was the last.
func (m *Mux) forget(c *muxCall) {
	delete(m.calls, c.number)
	if !m.ending || m.stopped || len(m.calls) > 0 {
		return
	}
	m.stopped = true
	m.later(Stop, 0)
}

// later sends a frame that nobody waits for.
func (m *Mux) later(t Type, number uint64) {
	m.running.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), m.grace)
		defer cancel()
		_ = m.out.send(ctx, t, number, nil) // that nobody listens any more is what the reader sees too
	})
}

// admit enters a call, or says why no more are taken.
func (m *Mux) admit(c *muxCall) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.err != nil:
		return fmt.Errorf("%w: %w", ErrUnsent, m.err)
	case m.ending:
		return fmt.Errorf("%w: the runtime has said that it ends", ErrUnsent)
	case len(m.calls) >= m.most:
		return fmt.Errorf("%d calls are under way, which is all that the runtime takes at once", m.most)
	}
	m.running.Add(1)
	m.issued++
	m.late = 0
	c.number = m.issued
	m.calls[c.number] = c
	return nil
}
