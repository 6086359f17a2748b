package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func TestFramesSurviveAnyCut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 40), rapid.IntRange(readBuffer-40, readBuffer+40),
			rapid.IntRange(firstStep-40, 3*firstStep)), 1, 6).Draw(t, "sizes")
		var stream []byte
		var want []Frame
		for n, size := range sizes {
			payload := bytes.Repeat([]byte{byte(n + 1)}, size)
			f := Frame{Type: Type(n % int(Window)), Invocation: uint64(n) << 40, Payload: payload}
			stream = AppendFrame(stream, f.Type, f.Invocation, payload)
			want = append(want, f)
		}
		r := NewReader(&cutting{data: stream, sizes: rapid.SliceOfN(rapid.IntRange(0, 5000), 1, 20).Draw(t, "cuts")})
		for n, w := range want {
			f, err := nextResumed(r)
			if err != nil || f.Type != w.Type || f.Invocation != w.Invocation || !bytes.Equal(f.Payload, w.Payload) {
				t.Fatalf("frame %d of %v: got type %d number %d and %d bytes, %v", n, sizes, f.Type, f.Invocation, len(f.Payload), err)
			}
		}
		if _, err := nextResumed(r); err != io.EOF {
			t.Fatalf("got %v, want io.EOF", err)
		}
	})
}

// nextResumed goes on after time-outs, as a Conn does when a call's context has ended.
func nextResumed(r *Reader) (Frame, error) {
	for {
		f, err := r.Next()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return f, err
		}
	}
}

// cutting reads data in pieces of the given sizes, over and over; a size of 0 is a time-out.
type cutting struct {
	data  []byte
	sizes []int
	n     int
}

func (c *cutting) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	size := c.sizes[c.n%len(c.sizes)]
	c.n++
	if size == 0 && c.n%2 == 1 {
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(p, c.data[:min(size+1, len(c.data))])
	c.data = c.data[n:]
	return n, nil
}

func TestBrokenFrames(t *testing.T) {
	t.Parallel()
	header := func(length uint32, kind byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, length), kind, 0, 0, 0, 0, 0, 0, 0, 1)
	}
	tests := map[string]struct {
		stream []byte
		want   error
	}{
		"nothing":           {nil, io.EOF},
		"half a length":     {[]byte{0, 0}, io.ErrUnexpectedEOF},
		"length 0":          {header(0, 3), ErrProtocol},
		"length 8":          {header(8, 3), ErrProtocol},
		"length over bound": {header(MaxFrame+1, 3), ErrProtocol},
		"length 4 GB":       {header(1<<32-1, 3), ErrProtocol},
		"reserved type":     {header(9, 11), ErrProtocol},
		"unknown type":      {header(9, 255), ErrProtocol},
		"half a header":     {header(9, 3)[:7], io.ErrUnexpectedEOF},
		"no payload":        {header(20, 3), io.ErrUnexpectedEOF},
		"half a large one":  {append(header(MaxFrame, 3), make([]byte, 100_000)...), io.ErrUnexpectedEOF},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := NewReader(bytes.NewReader(tt.stream))
			for range 2 { // an error stays
				if f, err := r.Next(); !errors.Is(err, tt.want) {
					t.Errorf("got %+v, %v; want %v", f, err, tt.want)
				}
			}
		})
	}
	_, err := NewReader(iotest.ErrReader(iotest.ErrTimeout)).Next()
	wantErr(t, err, iotest.ErrTimeout)
	_, err = NewReader(stalled{}).Next()
	wantErr(t, err, io.ErrNoProgress)
}

type stalled struct{}

func (stalled) Read([]byte) (int, error) { return 0, nil }

// TestALengthCostsNoMemory sees that memory follows the bytes that came, not the length that was claimed.
func TestALengthCostsNoMemory(t *testing.T) {
	stream := AppendFrame(nil, Resp, 1, nil)
	binary.BigEndian.PutUint32(stream, MaxFrame)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const times = 50
	for range times {
		if _, err := NewReader(bytes.NewReader(stream)).Next(); err != io.ErrUnexpectedEOF {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / times; each > 2*(readBuffer+firstStep) {
		t.Errorf("a claimed length of 16 MiB cost %d bytes", each)
	}
}

func TestSplitMeta(t *testing.T) {
	t.Parallel()
	meta, raw, err := SplitMeta(AppendMeta(nil, []byte("meta"), []byte("raw")))
	if string(meta) != "meta" || string(raw) != "raw" || err != nil {
		t.Errorf("got %q, %q, %v", meta, raw, err)
	}
	if _ = append(meta, "overwritten"...); string(raw) != "raw" {
		t.Error("meta can grow into raw")
	}
	for _, payload := range [][]byte{nil, {0, 0, 0}, {0, 0, 0, 1}, {255, 255, 255, 255, 1}, AppendMeta(nil, make([]byte, MaxMeta+1), nil)} {
		_, _, err := SplitMeta(payload)
		wantErr(t, err, ErrProtocol)
	}
}

func TestExecMetaIsWhatJSONSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := ExecMeta{
			RequestID: rapid.String().Draw(t, "request_id"), DeadlineMS: rapid.Int64().Draw(t, "deadline_ms"),
			TraceID: rapid.String().Draw(t, "trace_id"), Stream: rapid.Bool().Draw(t, "stream"),
		}
		want, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var a, b ExecMeta
		if err := json.Unmarshal(appendExecMeta(nil, &m), &a); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(want, &b); err != nil || a != b {
			t.Fatalf("got %+v, want %+v", a, b)
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add(AppendFrame(nil, Hello, 0, []byte(`{"version":1}`)))
	f.Add(AppendFrame(AppendFrame(nil, Resp, 1, AppendMeta(nil, []byte(`{"ok":true}`), []byte(`1`))), Pong, 2, nil))
	f.Add([]byte{255, 255, 255, 255, 3})
	f.Add(binary.BigEndian.AppendUint32(nil, MaxFrame))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := NewReader(iotest.HalfReader(bytes.NewReader(stream)))
		var again []byte
		for {
			frame, err := r.Next()
			if err != nil {
				break
			}
			again = AppendFrame(again, frame.Type, frame.Invocation, frame.Payload)
			if meta, raw, err := SplitMeta(frame.Payload); err == nil && !bytes.Equal(AppendMeta(nil, meta, raw), frame.Payload) {
				t.Errorf("meta %q and raw %q do not make their payload", meta, raw)
			}
		}
		if !bytes.HasPrefix(stream, again) {
			t.Errorf("the frames read are not those sent")
		}
	})
}
