package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	lengthSize = 4
	bodyMin    = 9 // type and invocation, the least that length counts
	headerSize = lengthSize + bodyMin

	readBuffer = 8 << 10  // frames up to this size cost no allocation
	firstStep  = 64 << 10 // memory given to a larger frame before its bytes have come
	growth     = 16       // and how many times what has come it is given next
)

// maxPayload is what MaxFrame leaves for a payload.
const maxPayload = MaxFrame - bodyMin

// Frame is one message. Its payload is valid until the Reader's next call.
type Frame struct {
	Type       Type
	Invocation uint64
	Payload    []byte

	owned bool // the payload lies in memory of its own, which the reader keeps no hold of
}

// AppendFrame appends a whole frame to dst. The payload must fit MaxFrame.
func AppendFrame(dst []byte, t Type, invocation uint64, payload []byte) []byte {
	return append(appendHeader(dst, t, invocation, len(payload)), payload...)
}

func appendHeader(dst []byte, t Type, invocation uint64, payload int) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(bodyMin+payload))
	dst = append(dst, byte(t))
	return binary.BigEndian.AppendUint64(dst, invocation)
}

// Reader takes frames off a stream. It never reserves memory by a claimed length: a large frame's memory
// grows with the bytes that arrive. A read that timed out may be resumed by calling Next again; a broken
// frame is final.
type Reader struct {
	src        io.Reader
	buf        []byte
	start, end int // buf[start:end] is unread

	large []byte // what has come of a payload too large for buf
	head  Frame  // its header
	need  int    // its length; 0 = no large frame under way

	broken error
}

// NewReader returns a Reader of src.
func NewReader(src io.Reader) *Reader {
	return &Reader{src: src, buf: make([]byte, readBuffer)}
}

// Next returns the next frame: io.EOF when the stream ended between frames, io.ErrUnexpectedEOF when inside
// one, ErrProtocol for a length out of bounds or an unknown type, else the source's error.
func (r *Reader) Next() (Frame, error) {
	if r.broken != nil {
		return Frame{}, r.broken
	}
	if r.need > 0 {
		return r.nextLarge()
	}
	if err := r.fill(lengthSize); err != nil {
		return Frame{}, err
	}
	length := binary.BigEndian.Uint32(r.buf[r.start:])
	if length < bodyMin || length > MaxFrame {
		return Frame{}, r.fail("a frame of length %d", length)
	}
	if err := r.fill(headerSize); err != nil {
		return Frame{}, err
	}
	body := r.buf[r.start+lengthSize:]
	f := Frame{Type: Type(body[0]), Invocation: binary.BigEndian.Uint64(body[1:])}
	if !f.Type.known() {
		return Frame{}, r.fail("a frame of unknown type %d", f.Type)
	}
	total := lengthSize + int(length)
	if total > len(r.buf) {
		r.startLarge(f, total-headerSize)
		return r.nextLarge()
	}
	if err := r.fill(total); err != nil {
		return Frame{}, err
	}
	f.Payload = r.buf[r.start+headerSize : r.start+total : r.start+total]
	r.start += total
	return f, nil
}

func (r *Reader) startLarge(head Frame, payload int) {
	r.head, r.need = head, payload
	r.large = append(make([]byte, 0, min(payload, firstStep)), r.buf[r.start+headerSize:r.end]...)
	r.start, r.end = 0, 0
}

func (r *Reader) nextLarge() (Frame, error) {
	for len(r.large) < r.need {
		if len(r.large) == cap(r.large) {
			grown := make([]byte, len(r.large), min(growth*cap(r.large), r.need))
			copy(grown, r.large)
			r.large = grown
		}
		n, err := r.read(r.large[len(r.large):cap(r.large)])
		r.large = r.large[:len(r.large)+n]
		if err != nil {
			return Frame{}, err
		}
	}
	f := r.head
	f.Payload, f.owned = r.large, true
	r.large, r.need = nil, 0
	return f, nil
}

// fill reads until n bytes are unread in buf, which they fit.
func (r *Reader) fill(n int) error {
	if r.start == r.end {
		r.start, r.end = 0, 0
	}
	if r.start+n > len(r.buf) {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	for r.end-r.start < n {
		m, err := r.read(r.buf[r.end:])
		r.end += m
		if err != nil {
			return err
		}
	}
	return nil
}

// read reads at least one byte or returns an error.
func (r *Reader) read(p []byte) (int, error) {
	for range 100 {
		n, err := r.src.Read(p)
		switch {
		case n > 0:
			return n, nil // the source repeats its error
		case errors.Is(err, io.EOF) && (r.need > 0 || r.end > r.start):
			return 0, io.ErrUnexpectedEOF
		case err != nil:
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

func (r *Reader) fail(format string, args ...any) error {
	r.broken = protocolError(format, args...)
	return r.broken
}

func (t Type) known() bool { return t <= Window }

func protocolError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}
