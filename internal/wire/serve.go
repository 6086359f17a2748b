package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
)

// Handler is what a runtime does with what the platform asks of it.
type Handler interface {
	// Init makes the runtime one of a function; it is called once, before any Exec.
	Init(ctx context.Context, msg InitMsg) RespMeta
	// Exec runs one call and returns its outcome: a JSON value when it is OK and not Streamed, else nothing.
	// The result may share the event's memory, and is read before the next call only. Calls at once are as
	// many as InitMsg.Concurrency says. ctx ends when the platform cancels the call or goes away.
	Exec(ctx context.Context, call *Call) (RespMeta, []byte)
}

// Inherited returns the connection that a process was started with, as descriptor fd.
func Inherited(fd uintptr) (net.Conn, error) {
	file := os.NewFile(fd, "agent protocol")
	if file == nil {
		return nil, fmt.Errorf("descriptor %d: %w", fd, os.ErrInvalid)
	}
	conn, err := net.FileConn(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	return conn, nil
}

// Serve is the runtime's side of a connection: it says hello, then answers what the platform asks until that
// goes away (ErrEnded), breaks the protocol (ErrProtocol) or says Stop (nil). It owns rw, and returns when
// no call of h is left.
func Serve(rw io.ReadWriteCloser, hello HelloMsg, h Handler) error {
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{handler: h, ctx: ctx, in: NewReader(rw), out: sender{w: rw}}
	hello.Version = Version
	err := s.run(hello)
	cancel()
	err = errors.Join(err, rw.Close()) // which frees a call that is writing
	s.running.Wait()
	return err
}

// server is the state of one Serve.
type server struct {
	handler Handler
	ctx     context.Context //nolint:containedctx // of the connection, the parent of every call's
	in      *Reader
	out     sender
	running sync.WaitGroup
	last    uint64 // the number of the newest Exec

	mu     sync.Mutex
	phase  phase
	limits limits
	calls  []*Call // under way
	free   []*Call // memory of finished ones
}

// phase is how far a runtime has come.
type phase uint8

const (
	blank phase = iota
	initialising
	ready
	failed
)

// limits are what InitMsg says of every call.
type limits struct {
	response, stream int64 // bytes; 0 = unbounded
	atOnce           int
}

func (s *server) run(hello HelloMsg) error {
	payload, err := json.Marshal(hello)
	if err != nil {
		return fmt.Errorf("encode hello: %w", err)
	}
	if err := s.out.send(Hello, 0, payload, nil, nil); err != nil {
		return ended("write hello", err)
	}
	for {
		f, err := s.in.Next()
		if err != nil {
			return ended("read", err)
		}
		if f.Type == Stop {
			return nil
		}
		if err := s.handle(f); err != nil {
			return err
		}
	}
}

// handle acts on one frame. It never waits for a call.
func (s *server) handle(f Frame) error {
	switch f.Type {
	case Exec:
		return s.exec(f)
	case Init:
		return s.init(f)
	case Ping:
		return ended("write pong", s.out.send(Pong, f.Invocation, nil, nil, nil))
	case Window:
		var grant WindowMsg
		if err := decodeJSON(f.Payload, &grant); err != nil {
			return err
		}
		s.grant(f.Invocation, grant.Bytes)
		return nil
	case Cancel:
		s.cancel(f.Invocation)
		return nil
	case Hello:
		var theirs HelloMsg
		if err := decodeJSON(f.Payload, &theirs); err != nil {
			return err
		}
		if theirs.Version != Version {
			return protocolError("the platform speaks version %d, not %d", theirs.Version, Version)
		}
		return nil
	}
	return protocolError("type %d from the platform", f.Type)
}

func (s *server) init(f Frame) error {
	var msg InitMsg
	if err := decodeJSON(f.Payload, &msg); err != nil {
		return err
	}
	s.mu.Lock()
	again := s.phase != blank
	s.phase = initialising
	s.limits = limits{response: msg.MaxResponse, stream: msg.MaxStream, atOnce: max(1, msg.Concurrency)}
	s.mu.Unlock()
	if again {
		return protocolError("a second init")
	}
	s.running.Go(func() {
		meta := s.handler.Init(s.ctx, msg)
		s.mu.Lock()
		s.phase = failed
		if meta.OK {
			s.phase = ready
		}
		s.mu.Unlock()
		s.answer(0, meta, nil)
	})
	return nil
}

func (s *server) exec(f Frame) error {
	meta, event, err := SplitMeta(f.Payload)
	if err != nil {
		return err
	}
	if f.Invocation <= s.last {
		return protocolError("exec %d after %d", f.Invocation, s.last)
	}
	s.last = f.Invocation
	call, err := s.admit(f.Invocation)
	if err != nil {
		return err
	}
	if err := decodeExecMeta(meta, &call.Meta); err != nil {
		return err
	}
	if f.owned {
		call.Event = event
	} else {
		call.buf = append(call.buf[:0], event...)
		call.Event = call.buf
	}
	s.running.Go(call.run)
	return nil
}

// admit makes a call of the given number.
func (s *server) admit(number uint64) (*Call, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != ready {
		return nil, protocolError("exec before init")
	}
	if len(s.calls) >= s.limits.atOnce {
		return nil, protocolError("more than %d calls at once", s.limits.atOnce)
	}
	var c *Call
	if last := len(s.free) - 1; last >= 0 {
		c, s.free = s.free[last], s.free[:last]
	} else {
		c = &Call{server: s, wake: make(chan struct{}, 1)}
		c.run = c.serve // once: a method value is an allocation
	}
	if c.ctx == nil {
		c.ctx, c.end = context.WithCancel(s.ctx)
	}
	c.number, c.credit, c.limits, c.sent, c.over = number, InitialWindow, s.limits, 0, 0
	s.calls = append(s.calls, c)
	return c, nil
}

// leave makes room for the next call.
func (s *server) leave(c *Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.calls, c); i >= 0 {
		s.calls = slices.Delete(s.calls, i, i+1)
	}
}

// recycle keeps what a call was made of for another.
func (s *server) recycle(c *Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.cancelled {
		c.ctx, c.end, c.cancelled = nil, nil, false
	}
	c.Event = nil
	if cap(c.buf) > keepBuffer {
		c.buf = nil
	}
	select {
	case <-c.wake:
	default:
	}
	s.free = append(s.free, c)
}

// grant gives a call credit. What is meant for a finished one is dropped.
func (s *server) grant(number uint64, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.find(number); c != nil && bytes > 0 {
		c.credit += min(bytes, MaxFrame)
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

func (s *server) cancel(number uint64) {
	end := func() {}
	s.mu.Lock()
	if c := s.find(number); c != nil {
		c.cancelled = true // so that its context goes to no other call
		end = c.end
	}
	s.mu.Unlock()
	end()
}

// find needs the mutex.
func (s *server) find(number uint64) *Call {
	for _, c := range s.calls {
		if c.number == number {
			return c
		}
	}
	return nil
}

var okMeta = []byte(`{"ok":true}`)

// answer sends a Resp. That nobody listens any more is what the reader sees too.
func (s *server) answer(number uint64, meta RespMeta, raw []byte) {
	if meta.OK && !meta.Streamed && !meta.Ending && meta.Type == "" && meta.Message == "" {
		_ = s.out.send(Resp, number, nil, okMeta, raw)
		return
	}
	encoded, _ := json.Marshal(bounded(meta)) // strings always marshal
	_ = s.out.send(Resp, number, nil, encoded, raw)
}

// ended gives a transport's error its class.
func ended(doing string, err error) error {
	if err == nil || errors.Is(err, ErrProtocol) {
		return err
	}
	return fmt.Errorf("%s: %w: %w", doing, ErrEnded, err)
}
