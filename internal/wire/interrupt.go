package wire

import (
	"context"
	"time"
)

// begin starts a call: the end of ctx interrupts the transport, at once and without a goroutine of its own.
// What it returns goes to end.
func (c *Conn) begin(ctx context.Context) (stop func() bool) {
	c.late = 0
	if ctx.Done() == nil {
		return nil
	}
	call := c.call // only changed by end, on this goroutine
	return context.AfterFunc(ctx, func() { c.interrupt(call) })
}

// end undoes begin; the transport has no deadline afterwards.
func (c *Conn) end(stop func() bool) {
	if stop != nil {
		stop()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.call++
	if c.timed {
		c.timed = false
		c.setDeadlines(time.Time{})
	}
}

// interrupt makes reads and writes of the given call return.
func (c *Conn) interrupt(call uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.call == call {
		c.timed = true
		c.setDeadlines(time.Unix(1, 0))
	}
}

// bound gives the rest of the call d at most.
func (c *Conn) bound(ctx context.Context, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() == nil { // else interrupt has been here or is about to
		c.timed = true
		c.setDeadlines(time.Now().Add(d))
	}
}

// setDeadlines ignores errors: the only one there is, a closed transport, shows at the next read or write.
func (c *Conn) setDeadlines(t time.Time) {
	_ = c.rw.SetReadDeadline(t)
	_ = c.rw.SetWriteDeadline(t)
}
