package runtimetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"nimbus/internal/wire"
)

// Streams is how one language's bootstrap is tried on streaming. Its function has the generators large (items of 300 KB),
// huge, text, stubborn (which ignores being closed), and report, which tells who was closed; the event names one, and
// how many items it makes.
type Streams struct {
	Function     func(t testing.TB) *Instance
	Bounded      func(t testing.TB, bounds wire.InitMsg) *Instance
	Asynchronous string // the name of the generator like large that is asynchronous
	Stubborn     string // the type of error that stubborn ends with
}

// Run runs what every bootstrap must do.
func (s Streams) Run(t *testing.T) {
	t.Run("backpressure", s.backpressure)
	t.Run("larger than the window", s.largerThanTheWindow)
	t.Run("cancelled", s.cancelled)
	t.Run("over its bound", s.overItsBound)
}

// backpressure speaks the protocol by hand: a generator gets as far as its credit, and one item further.
func (s Streams) backpressure(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"large", s.Asynchronous} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := s.Function(t)
			frames := wire.NewReader(i.Socket)
			next := func(want wire.Type, number uint64) {
				t.Helper()
				if f, err := frames.Next(); err != nil || f.Type != want || f.Invocation != number {
					t.Fatalf("got type %d number %d, %v; want type %d number %d", f.Type, f.Invocation, err, want, number)
				}
			}
			send := func(kind wire.Type, number uint64, payload string) {
				t.Helper()
				if _, err := i.Socket.Write(wire.AppendFrame(nil, kind, number, []byte(payload))); err != nil {
					t.Fatal(err)
				}
			}
			meta := `{"request_id":"r","deadline_ms":0,"stream":true}`
			send(wire.Exec, 1, string(wire.AppendMeta(nil, []byte(meta), fmt.Appendf(nil, "[%q,1000]", name))))
			for range 4 { // of 300 KB each: the fourth overdraws the credit of 1 MiB
				next(wire.Chunk, 1)
			}
			send(wire.Ping, 9, "")
			next(wire.Pong, 9) // and not a fifth Chunk
			send(wire.Window, 1, `{"bytes":1000}`)
			send(wire.Ping, 10, "")
			next(wire.Pong, 10) // still overdrawn
			send(wire.Window, 1, `{"bytes":200000}`)
			next(wire.Chunk, 1)
			send(wire.Window, 7, `{"bytes":10000000}`) // of another call
			send(wire.Ping, 11, "")
			next(wire.Pong, 11)
			send(wire.Cancel, 1, "")
			next(wire.Resp, 1)
		})
	}
}

// largerThanTheWindow sees that such an item passes, though it overdraws the credit.
func (s Streams) largerThanTheWindow(t *testing.T) {
	t.Parallel()
	i := s.Function(t)
	meta, items := i.Stream(t, `["huge",4]`)
	if !meta.OK || len(items) != 4 || len(items[3][1]) != 3_000_000 {
		t.Errorf("got %+v, %d items", meta, len(items))
	}
}

func (s Streams) cancelled(t *testing.T) {
	t.Parallel()
	i := s.Function(t)
	gone := errors.New("the reader went away")
	for _, name := range []string{"large", s.Asynchronous} {
		meta := ExecMeta()
		meta.Stream = true
		seen := 0
		_, _, err := i.Conn.Exec(Context(t), meta, fmt.Appendf(nil, `[%q,1000]`, name), func(string, []byte) error {
			if seen++; seen == 5 {
				return gone
			}
			return nil
		})
		if !errors.Is(err, gone) || errors.Is(err, wire.ErrStuck) || seen != 5 {
			t.Errorf("%s: %v after %d items, want %v", name, err, seen, gone)
		}
	}
	i.Want(t, `["report",0]`, JSON(t, []string{"large", s.Asynchronous}))

	meta := ExecMeta()
	meta.Stream = true
	resp, _, err := i.Conn.Exec(Context(t), meta, []byte(`["stubborn",0]`), func(string, []byte) error { return gone })
	if !errors.Is(err, gone) || resp.OK || resp.Type != s.Stubborn {
		t.Errorf("a generator that ignores being closed: %+v, %v", resp, err)
	}
	i.Want(t, `["text",0]`, `["a","b"]`)
}

func (s Streams) overItsBound(t *testing.T) {
	t.Parallel()
	i := s.Bounded(t, wire.InitMsg{MaxResponse: 1000, MaxStream: 1_000_000})
	meta, items := i.Stream(t, `["large",100]`)
	if meta.OK || meta.Type != "Function.ResponseSizeTooLarge" || !strings.Contains(meta.Message, "over the bound of 1000000") || len(items) != 3 {
		t.Errorf("got %+v, %d items", meta, len(items))
	}
}
