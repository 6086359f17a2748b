package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// ErrEnded says that the other side closed the connection: the runtime is gone.
var ErrEnded = errors.New("the runtime ended")

// ErrStuck says that the runtime answered no Cancel in time.
var ErrStuck = errors.New("the runtime did not answer a cancel")

const (
	// grantStep is how much chunk data is consumed before credit for it is given back. It is less than
	// InitialWindow, so a runtime that waits for credit always gets some.
	grantStep = InitialWindow / 4

	copyBelow   = 32 << 10 // an event up to this size is copied behind its header and sent by one write
	keepBuffer  = 64 << 10 // a larger write buffer is given back
	cancelGrace = time.Second

	// maxLate bounds the late frames dropped during one call. A runtime may owe one answer to each call that
	// was given up, and the chunks it had credit for; one that sends on and on would keep a processor busy here.
	maxLate = 1 << 16
)

// Transport carries frames: a net.Conn is one.
type Transport interface {
	io.ReadWriteCloser
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// Conn is the platform's side of a connection to a runtime. One call at a time; Close may be called at any
// moment and makes a call under way return. After an error the instance must be stopped, with one
// exception: an error of Exec's chunk function that is not also ErrStuck leaves the connection usable.
type Conn struct {
	rw  Transport
	in  *Reader
	out []byte      // a frame being put together
	vec net.Buffers // over pair, for frames sent in two pieces

	pair        [2][]byte
	issued      uint64 // the last invocation number
	pings       uint64 // the last number of a Ping
	late        int    // frames dropped during this call
	initialised bool   // Init was sent
	maxResponse int64  // of InitMsg; 0 = unbounded
	maxStream   int64
	broken      error         // why nothing more can be sent
	grace       time.Duration // for the answer to a Cancel

	mu    sync.Mutex
	call  uint64 // counts calls, so that a late interrupt of one can't hit the next
	timed bool   // the transport has a deadline set
}

// NewConn returns a Conn over rw and takes ownership of it.
func NewConn(rw Transport) *Conn { return &Conn{rw: rw, in: NewReader(rw), grace: cancelGrace} }

// Close closes the transport.
func (c *Conn) Close() error { return c.rw.Close() }

// Handshake exchanges Hello and returns the runtime's.
func (c *Conn) Handshake(ctx context.Context) (HelloMsg, error) {
	defer c.end(c.begin(ctx))
	if err := c.sendJSON(ctx, Hello, 0, HelloMsg{Version: Version}); err != nil {
		return HelloMsg{}, err
	}
	f, err := c.in.Next()
	if err != nil {
		return HelloMsg{}, c.failed(ctx, "read hello", err)
	}
	if f.Type != Hello {
		return HelloMsg{}, c.fatal(protocolError("type %d before hello", f.Type))
	}
	var msg HelloMsg
	if err := decodeJSON(f.Payload, &msg); err != nil {
		return HelloMsg{}, c.fatal(err)
	}
	if msg.Version != Version {
		return HelloMsg{}, c.fatal(protocolError("the runtime speaks version %d, not %d", msg.Version, Version))
	}
	return msg, nil
}

// Init makes the runtime one of a function. A RespMeta that is not OK is the user's failure.
func (c *Conn) Init(ctx context.Context, msg InitMsg) (RespMeta, error) {
	defer c.end(c.begin(ctx))
	c.maxResponse, c.maxStream = msg.MaxResponse, msg.MaxStream
	if err := c.sendJSON(ctx, Init, 0, msg); err != nil {
		return RespMeta{}, err
	}
	c.initialised = true
	for {
		f, err := c.in.Next()
		if err != nil {
			return RespMeta{}, c.failed(ctx, "read the answer to init", err)
		}
		if f.Type == Resp && f.Invocation == 0 {
			meta, _, err := decodeResp(f.Payload)
			return meta, c.fatal(err)
		}
		if err := c.stray(f); err != nil {
			return RespMeta{}, err
		}
	}
}

// Ping asks for a sign of life.
func (c *Conn) Ping(ctx context.Context) error {
	defer c.end(c.begin(ctx))
	c.pings++
	if err := c.send(ctx, Ping, c.pings, nil); err != nil {
		return err
	}
	for {
		f, err := c.in.Next()
		if err != nil {
			return c.failed(ctx, "read pong", err)
		}
		if f.Type == Pong && f.Invocation == c.pings {
			return nil
		}
		if err := c.stray(f); err != nil {
			return err
		}
	}
}

// Stop asks the runtime to end by itself. It does not wait for that.
func (c *Conn) Stop(ctx context.Context) error {
	defer c.end(c.begin(ctx))
	return c.send(ctx, Stop, 0, nil)
}

// stray drops a late frame of something finished, within bounds, and refuses any other.
func (c *Conn) stray(f Frame) error {
	late := false
	switch f.Type {
	case Resp:
		late = f.Invocation <= c.issued && (f.Invocation > 0 || c.initialised)
	case Chunk:
		late = f.Invocation <= c.issued && f.Invocation > 0
	case Pong:
		late = f.Invocation <= c.pings && f.Invocation > 0
	}
	if !late {
		return c.fatal(unasked(f))
	}
	if c.late++; c.late > maxLate {
		return c.fatal(protocolError("more than %d late frames during one call", maxLate))
	}
	return nil
}

func unasked(f Frame) error {
	return protocolError("type %d with number %d, which was not asked for", f.Type, f.Invocation)
}

func (c *Conn) sendJSON(ctx context.Context, t Type, invocation uint64, msg any) error {
	payload, err := json.Marshal(msg)
	if err != nil {
		return fmt.Errorf("encode type %d: %w", t, err)
	}
	return c.send(ctx, t, invocation, payload)
}

func (c *Conn) send(ctx context.Context, t Type, invocation uint64, payload []byte) error {
	if len(payload) > maxPayload {
		return fmt.Errorf("send type %d: a payload of %d bytes is over the bound of %d", t, len(payload), maxPayload)
	}
	c.out = AppendFrame(c.out[:0], t, invocation, payload)
	return c.flush(ctx, nil)
}

// flush writes c.out, and tail behind it, by one system call where the transport can.
func (c *Conn) flush(ctx context.Context, tail []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.broken != nil {
		return c.broken
	}
	var n int64
	var err error
	if len(tail) == 0 {
		var m int
		m, err = c.rw.Write(c.out)
		n = int64(m)
	} else {
		c.pair = [2][]byte{c.out, tail}
		c.vec = c.pair[:]
		n, err = c.vec.WriteTo(c.rw)
		c.pair = [2][]byte{}
	}
	if cap(c.out) > keepBuffer {
		c.out = nil
	}
	if err == nil {
		return nil
	}
	err = c.failed(ctx, "write", err)
	if n > 0 {
		c.broken = fmt.Errorf("a frame was cut short: %w", err)
	}
	return err
}

// fatal notes an error after which nothing more is sent, and returns it.
func (c *Conn) fatal(err error) error {
	if err != nil {
		c.broken = err
	}
	return err
}

// failed says what a transport's error means.
func (c *Conn) failed(ctx context.Context, doing string, err error) error {
	if errors.Is(err, ErrProtocol) {
		return c.fatal(err)
	}
	return transportError(ctx, doing, err)
}

// transportError says what a transport's error means.
func transportError(ctx context.Context, doing string, err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe),
		errors.Is(err, net.ErrClosed), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%s: %w: %w", doing, ErrEnded, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
