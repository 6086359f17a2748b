package wire

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrCancelled says that the platform wants no more of a streamed result, or went away.
var ErrCancelled = errors.New("the call was cancelled")

// ErrTooLarge says that a streamed result is over InitMsg.MaxStream.
var ErrTooLarge = errors.New("the streamed response is over its bound")

const (
	pieceSize = 256 << 10 // bytes or text larger than this are sent as several chunks
	chunkRoom = 64        // for a chunk's meta
)

// Call is one event in a runtime. Chunk is safe for concurrent use.
type Call struct {
	Meta  ExecMeta
	Event []byte // JSON; valid until Exec returns

	server *server
	number uint64
	run    func()
	ctx    context.Context //nolint:containedctx // kept for the next call, until one is cancelled
	end    context.CancelFunc
	buf    []byte
	limits limits
	wake   chan struct{} // holds a token when credit was granted

	// Guarded by the server's mutex.
	credit    int64
	sent      int64 // bytes streamed
	cancelled bool
	over      int64 // the bound that an item was over; 0 = none was
}

func (c *Call) serve() {
	meta, raw := c.server.handler.Exec(c.ctx, c)
	meta, raw = c.checked(meta, raw)
	// Left first: once it has the answer, the platform may send the next.
	c.server.leave(c)
	c.server.answer(c.number, meta, raw)
	c.server.recycle(c)
}

// checked replaces a result that is over its bound.
func (c *Call) checked(meta RespMeta, raw []byte) (RespMeta, []byte) {
	c.server.mu.Lock()
	over, sent := c.over, c.sent
	c.server.mu.Unlock()
	bound := int64(maxPayload - MaxMeta)
	if c.limits.response > 0 {
		bound = min(bound, c.limits.response)
	}
	switch {
	case over > 0:
		return TooLarge(fmt.Sprintf("the streamed response has reached %d bytes", sent), over), nil
	case !meta.OK || meta.Streamed:
		return meta, nil
	case int64(len(raw)) > bound:
		return TooLarge(fmt.Sprintf("the response is %d bytes", len(raw)), bound), nil
	}
	return meta, raw
}

// MaxResponse is the bound of a result that isn't streamed, in bytes; 0 = none.
func (c *Call) MaxResponse() int64 { return c.limits.response }

// TooLarge is the outcome of a call whose result is over a bound; what says how large it is.
func TooLarge(what string, bound int64) RespMeta {
	return RespMeta{Type: "Function.ResponseSizeTooLarge", Message: fmt.Sprintf("%s, over the bound of %d", what, bound)}
}

// Chunk sends an item of a streamed result. It waits for the platform's credit, which is how a slow reader
// slows the function down; raw may be used again when it returns. ErrCancelled says that the platform wants
// no more; after ErrTooLarge the outcome is that, whatever Exec returns.
func (c *Call) Chunk(kind string, raw []byte) error {
	for kind != KindJSON && len(raw) > pieceSize {
		size := pieceSize
		for kind == KindText && size > pieceSize-utf8.UTFMax && !utf8.RuneStart(raw[size]) {
			size--
		}
		if err := c.chunk(kind, raw[:size]); err != nil {
			return err
		}
		raw = raw[size:]
	}
	return c.chunk(kind, raw)
}

func (c *Call) chunk(kind string, raw []byte) error {
	if len(raw) > maxPayload-chunkRoom {
		return c.refuse(int64(len(raw)), maxPayload-chunkRoom)
	}
	var meta []byte
	switch kind {
	case KindJSON:
		meta = []byte(`{"kind":"json"}`)
	case KindText:
		meta = []byte(`{"kind":"text"}`)
	default:
		meta = []byte(`{"kind":"bytes"}`)
	}
	if err := c.spend(int64(len(raw)), int64(metaLengthSize+len(meta)+len(raw))); err != nil {
		return err
	}
	if err := c.server.out.send(Chunk, c.number, nil, meta, raw); err != nil {
		return fmt.Errorf("%w: %w", ErrCancelled, err)
	}
	return nil
}

// spend waits until there is credit, and takes what an item costs; one item may overdraw it.
func (c *Call) spend(size, cost int64) error {
	for {
		if c.ctx.Err() != nil {
			return ErrCancelled
		}
		c.server.mu.Lock()
		total, open := c.sent+size, c.credit > 0
		over := c.limits.stream > 0 && total > c.limits.stream
		if open && !over {
			c.sent = total
			c.credit -= cost
		}
		c.server.mu.Unlock()
		switch {
		case over:
			return c.refuse(size, c.limits.stream)
		case open:
			return nil
		}
		select {
		case <-c.wake:
		case <-c.ctx.Done():
		}
	}
}

func (c *Call) refuse(size, bound int64) error {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.over = bound
	c.sent += size
	return ErrTooLarge
}
