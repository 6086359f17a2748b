package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
)

// Exec hands over an event and waits for the outcome. The items of a streamed result go to chunk, in order;
// raw is valid during the call only, and credit for it is given back when chunk returns. An error of chunk
// cancels the stream and is returned once the runtime has answered. The result belongs to the caller.
//
// When ctx ends, Exec returns its error at once. ErrEnded says that the runtime went away, ErrProtocol that
// it broke the protocol, ErrStuck that it ignored a cancel.
func (c *Conn) Exec(ctx context.Context, meta *ExecMeta, event []byte, chunk func(kind string, raw []byte) error) (RespMeta, []byte, error) {
	defer c.end(c.begin(ctx))
	if err := c.sendExec(ctx, meta, event); err != nil {
		return RespMeta{}, nil, err
	}
	s := stream{conn: c, number: c.issued, wanted: meta.Stream && chunk != nil, chunk: chunk, credit: InitialWindow}
	for {
		f, err := c.in.Next()
		switch {
		case err != nil:
			return RespMeta{}, nil, s.readError(ctx, err)
		case f.Type == Resp && f.Invocation == s.number:
			return s.finish(f)
		case f.Type == Chunk && f.Invocation == s.number:
			err = s.take(ctx, f)
		default:
			err = c.stray(f)
		}
		if err != nil {
			return RespMeta{}, nil, err
		}
	}
}

func (c *Conn) sendExec(ctx context.Context, meta *ExecMeta, event []byte) error {
	out, err := appendExec(c.out[:0], c.issued+1, meta, len(event))
	if err != nil {
		return err
	}
	c.issued++
	if len(event) <= copyBelow {
		c.out = append(out, event...)
		return c.flush(ctx, nil)
	}
	c.out = out
	return c.flush(ctx, event)
}

// appendExec puts together an Exec up to its event, of which the size is given.
func appendExec(dst []byte, number uint64, meta *ExecMeta, event int) ([]byte, error) {
	const metaStart = headerSize + metaLengthSize
	// The header is written last, when the meta's length is known.
	out := append(dst, make([]byte, metaStart)...)
	out = appendExecMeta(out, meta)
	metaSize := len(out) - metaStart
	payload := metaLengthSize + metaSize + event
	if payload > maxPayload || metaSize > MaxMeta {
		return dst, fmt.Errorf("send exec: an event of %d bytes and meta of %d do not fit a frame", event, metaSize)
	}
	AppendMeta(appendHeader(out[:0], Exec, number, payload), out[metaStart:], nil)
	return out, nil
}

// stream is the state of one Exec.
type stream struct {
	conn     *Conn
	number   uint64
	wanted   bool
	chunk    func(kind string, raw []byte) error
	credit   int64 // payload bytes the runtime may still send; one frame may overdraw it. 0 only after a cancel
	consumed int64 // credit not given back yet
	total    int64
	refused  error // chunk's
}

// take hands one item to chunk and gives credit back.
func (s *stream) take(ctx context.Context, f Frame) error {
	c := s.conn
	if !s.wanted {
		return c.fatal(protocolError("a chunk that was not asked for"))
	}
	if s.credit <= 0 {
		return c.fatal(protocolError("a chunk without credit"))
	}
	size := int64(len(f.Payload))
	s.credit -= size
	kind, raw, err := decodeChunk(f.Payload)
	if err != nil {
		return c.fatal(err)
	}
	if s.total += int64(len(raw)); c.maxStream > 0 && s.total > c.maxStream {
		return c.fatal(protocolError("a stream over its bound of %d bytes", c.maxStream))
	}
	if s.refused != nil {
		return nil
	}
	if err := s.chunk(kind, raw); err != nil {
		s.refused = err
		c.bound(ctx, c.grace)
		return s.tell(ctx, Cancel, nil)
	}
	if s.consumed += size; s.consumed < grantStep {
		return nil
	}
	grant := s.consumed
	s.consumed = 0
	s.credit += grant
	return s.tell(ctx, Window, windowPayload(grant))
}

// windowPayload is a WindowMsg.
func windowPayload(grant int64) []byte {
	return append(strconv.AppendInt([]byte(`{"bytes":`), grant, 10), '}')
}

// tell sends a frame that needs no answer. That the runtime no longer listens is not an error here: its
// last frames may still wait to be read.
func (s *stream) tell(ctx context.Context, t Type, payload []byte) error {
	err := s.conn.send(ctx, t, s.number, payload)
	if errors.Is(err, ErrEnded) {
		return nil
	}
	return err
}

func (s *stream) finish(f Frame) (RespMeta, []byte, error) {
	c := s.conn
	meta, raw, err := decodeResp(f.Payload)
	if err == nil {
		err = checkResult(&meta, len(raw), s.wanted, c.maxResponse)
	}
	if err != nil {
		return RespMeta{}, nil, c.fatal(err)
	}
	if s.refused != nil {
		return meta, nil, s.refused
	}
	if len(raw) == 0 {
		return meta, nil, nil
	}
	if !f.owned {
		raw = bytes.Clone(raw)
	}
	return meta, raw, nil
}

// checkResult refuses an answer that makes no sense. wanted says that its items were asked for; bound is that of
// its result in bytes, 0 = none.
func checkResult(meta *RespMeta, result int, wanted bool, bound int64) error {
	switch {
	case meta.Streamed && !wanted:
		return protocolError("a streamed result that was not asked for")
	case meta.OK && !meta.Streamed && result == 0:
		return protocolError("success without a result")
	case (!meta.OK || meta.Streamed) && result > 0:
		return protocolError("result bytes where none belong")
	case bound > 0 && int64(result) > bound:
		return protocolError("a result of %d bytes, over its bound of %d", result, bound)
	}
	return nil
}

func (s *stream) readError(ctx context.Context, err error) error {
	if s.refused != nil && errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("%w within %s: %w", ErrStuck, s.conn.grace, s.refused)
	}
	return s.conn.failed(ctx, "read the answer", err)
}
