package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// handler is a Handler made of functions; without them it is one that echoes.
type handler struct {
	init func(context.Context, InitMsg) RespMeta
	exec func(context.Context, *Call) (RespMeta, []byte)
}

func (h handler) Init(ctx context.Context, msg InitMsg) RespMeta {
	if h.init == nil {
		return RespMeta{OK: true}
	}
	return h.init(ctx, msg)
}

func (h handler) Exec(ctx context.Context, call *Call) (RespMeta, []byte) {
	if h.exec == nil {
		return RespMeta{OK: true}, call.Event
	}
	return h.exec(ctx, call)
}

// served returns the platform's side of a connection that h serves, initialised by msg, and what Serve comes to.
func served(t testing.TB, h Handler, msg InitMsg) (*Conn, <-chan error) {
	t.Helper()
	ours, theirs := socketPair(t)
	c := NewConn(ours)
	c.grace = patience
	end := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		end <- Serve(theirs, HelloMsg{Runtime: "test"}, h)
	}()
	t.Cleanup(func() {
		c.Close()
		<-done
	})
	hello, err := c.Handshake(testContext(t))
	if err != nil || hello.Runtime != "test" {
		t.Fatalf("handshake: %+v, %v", hello, err)
	}
	if meta, err := c.Init(testContext(t), msg); err != nil || !meta.OK {
		t.Fatalf("init: %+v, %v", meta, err)
	}
	return c, end
}

func TestServe(t *testing.T) {
	t.Parallel()
	var seen InitMsg
	c, end := served(t, handler{init: func(_ context.Context, msg InitMsg) RespMeta {
		seen = msg
		return RespMeta{OK: true}
	}}, InitMsg{Handler: "main", Env: map[string]string{"A": "b"}})
	if seen.Handler != "main" || seen.Env["A"] != "b" {
		t.Errorf("init was given %+v", seen)
	}
	for _, size := range []int{1, 100, copyBelow, copyBelow + 1, readBuffer, keepBuffer + 1, 1 << 20, 6 << 20} {
		event := strings.Repeat("1", size)
		meta, result, err := c.Exec(testContext(t), &ExecMeta{}, []byte(event), nil)
		if err != nil || !meta.OK || string(result) != event {
			t.Fatalf("exec of %d bytes: %+v, %d bytes, %v", size, meta, len(result), err)
		}
		if err := c.Ping(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Stop(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := <-end; err != nil {
		t.Errorf("after a stop: %v", err)
	}
}

func TestServeHandsOverTheMeta(t *testing.T) {
	t.Parallel()
	want := ExecMeta{RequestID: "r-1", DeadlineMS: 1_800_000_000_000, TraceID: "abc", Traceparent: "00-abc-def-01", Stream: true}
	var got ExecMeta
	c, _ := served(t, handler{exec: func(_ context.Context, call *Call) (RespMeta, []byte) {
		got = call.Meta
		return RespMeta{Type: "E", Message: "m", Stack: []string{"one", "two"}}, []byte("dropped")
	}}, InitMsg{})
	meta, result, err := c.Exec(testContext(t), &want, []byte("1"), func(string, []byte) error { return nil })
	if err != nil || result != nil || !reflect.DeepEqual(meta, RespMeta{Type: "E", Message: "m", Stack: []string{"one", "two"}}) {
		t.Errorf("got %+v, %q, %v", meta, result, err)
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestServeBoundsResults(t *testing.T) {
	t.Parallel()
	c, _ := served(t, handler{exec: func(_ context.Context, call *Call) (RespMeta, []byte) {
		if !call.Meta.Stream {
			return RespMeta{OK: true}, bytes.Repeat([]byte("1"), 101)
		}
		if err := call.Chunk(KindText, []byte("within")); err != nil {
			t.Error(err)
		}
		if err := call.Chunk(KindText, bytes.Repeat([]byte("x"), 1000)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("got %v, want %v", err, ErrTooLarge)
		}
		return RespMeta{OK: true, Streamed: true}, nil
	}}, InitMsg{MaxResponse: 100, MaxStream: 1000})
	for message, stream := range map[string]bool{
		"the response is 101 bytes, over the bound of 100":                     false,
		"the streamed response has reached 1006 bytes, over the bound of 1000": true,
	} {
		meta, _, err := c.Exec(testContext(t), &ExecMeta{Stream: stream}, []byte("1"), func(string, []byte) error { return nil })
		if err != nil || meta.OK || meta.Type != "Function.ResponseSizeTooLarge" || meta.Message != message {
			t.Errorf("got %+v, %v; want %q", meta, err, message)
		}
	}
}

func TestServeBoundsFailures(t *testing.T) {
	t.Parallel()
	c, _ := served(t, handler{exec: func(context.Context, *Call) (RespMeta, []byte) {
		stack := make([]string, 1000)
		for i := range stack {
			stack[i] = strings.Repeat("ä", 1000)
		}
		return RespMeta{Type: strings.Repeat("T", 10_000), Message: strings.Repeat("\x01", 1<<20), Stack: stack}, nil
	}}, InitMsg{})
	meta, _, err := c.Exec(testContext(t), &ExecMeta{}, []byte("1"), nil)
	if err != nil || len(meta.Message) != maxMessage || len(meta.Stack) != maxStack+1 || len(meta.Type) != maxStackLine ||
		meta.Stack[maxStack/2] != "... 900 lines left out ..." || meta.Stack[0] != strings.Repeat("ä", maxStackLine/2) {
		t.Errorf("got a type of %d, a message of %d, a stack of %d, %v", len(meta.Type), len(meta.Message), len(meta.Stack), err)
	}
}

// TestServeStreams streams more than the credit, in items of all sizes, to a reader that may cancel.
func TestServeStreams(t *testing.T) {
	t.Parallel()
	const total = 9 << 20
	var cancelled atomic.Bool
	c, _ := served(t, handler{exec: func(ctx context.Context, call *Call) (RespMeta, []byte) {
		item := []byte(strings.Repeat("€", 100_000)) // 3 bytes each, so that no piece ends by itself where one ends
		for sent := 0; sent < total; sent += len(item) {
			if err := call.Chunk(KindText, item); err != nil {
				cancelled.Store(errors.Is(err, ErrCancelled) && ctx.Err() != nil)
				break
			}
		}
		return RespMeta{OK: true, Streamed: true}, nil
	}}, InitMsg{})
	got := 0
	meta, _, err := c.Exec(testContext(t), &ExecMeta{Stream: true}, []byte("1"), func(kind string, raw []byte) error {
		got += len(raw)
		if kind != KindText || len(raw)%3 != 0 {
			t.Errorf("an item of kind %s with %d bytes", kind, len(raw))
		}
		return nil
	})
	if err != nil || !meta.Streamed || got < total {
		t.Errorf("got %+v, %d bytes, %v", meta, got, err)
	}
	gone := errors.New("the reader went away")
	_, _, err = c.Exec(testContext(t), &ExecMeta{Stream: true}, []byte("1"), func(string, []byte) error { return gone })
	wantErr(t, err, gone)
	if !cancelled.Load() {
		t.Error("the handler was not told")
	}
	// And the context of the next call is whole.
	if meta, _, err := c.Exec(testContext(t), &ExecMeta{Stream: true}, []byte("1"), func(string, []byte) error { return nil }); err != nil || !meta.OK {
		t.Errorf("the next call: %+v, %v", meta, err)
	}
}

// TestServeEnds lets the platform go away in the middle of a call: its context ends and Serve waits for it.
func TestServeEnds(t *testing.T) {
	t.Parallel()
	arrived, left := make(chan struct{}), make(chan struct{})
	c, end := served(t, handler{exec: func(ctx context.Context, call *Call) (RespMeta, []byte) {
		close(arrived)
		<-ctx.Done()
		if err := call.Chunk(KindText, []byte("x")); !errors.Is(err, ErrCancelled) {
			t.Errorf("got %v, want %v", err, ErrCancelled)
		}
		close(left)
		return RespMeta{OK: true}, []byte("1")
	}}, InitMsg{})
	go func() {
		<-arrived
		c.Close()
	}()
	if _, _, err := c.Exec(testContext(t), &ExecMeta{}, []byte("1"), nil); !errors.Is(err, ErrEnded) {
		t.Errorf("got %v", err)
	}
	wantErr(t, <-end, ErrEnded)
	select {
	case <-left:
	default:
		t.Error("Serve returned before the call had")
	}
}

// TestServeAtOnce runs as many calls at once as the platform said, each answered by its number.
func TestServeAtOnce(t *testing.T) {
	t.Parallel()
	ours, theirs := socketPair(t)
	const calls = 4
	var arrived atomic.Int32
	all := make(chan struct{})
	end := make(chan error, 1)
	go func() {
		end <- Serve(theirs, HelloMsg{}, handler{exec: func(_ context.Context, call *Call) (RespMeta, []byte) {
			if arrived.Add(1) == calls {
				close(all)
			}
			<-all
			return RespMeta{OK: true}, call.Event
		}})
	}()
	r := &runtimeSide{t: t, in: NewReader(ours), conn: ours}
	r.next(Hello)
	r.send(Init, 0, []byte(`{"concurrency":4}`))
	r.next(Resp)
	for n := range uint64(calls) {
		r.sendMeta(Exec, n+1, `{"request_id":"r","deadline_ms":1}`, string(rune('1'+n)))
	}
	seen := map[uint64]string{}
	for range calls {
		f := r.next(Resp)
		_, raw, err := SplitMeta(f.Payload)
		if err != nil {
			t.Error(err)
		}
		seen[f.Invocation] = string(raw)
	}
	if !reflect.DeepEqual(seen, map[uint64]string{1: "1", 2: "2", 3: "3", 4: "4"}) {
		t.Errorf("got %v", seen)
	}
	ours.Close()
	wantErr(t, <-end, ErrEnded)
}

func TestServeRefuses(t *testing.T) {
	t.Parallel()
	start := AppendFrame(nil, Init, 0, []byte(`{}`))
	exec := func(number uint64) []byte {
		return AppendFrame(nil, Exec, number, AppendMeta(nil, []byte(`{"request_id":"r","deadline_ms":1}`), []byte("1")))
	}
	for name, frames := range map[string][][]byte{
		"an exec before init":      {exec(1)},
		"a second init":            {start, start},
		"an init that is not JSON": {AppendFrame(nil, Init, 0, []byte(`{`))},
		"another version":          {AppendFrame(nil, Hello, 0, []byte(`{"version":9}`))},
		"a resp":                   {AppendFrame(nil, Resp, 0, nil)},
		"an unknown type":          {AppendFrame(nil, 99, 0, nil)},
		"a window that is not one": {AppendFrame(nil, Window, 1, []byte(`"much"`))},
		"an exec without meta":     {AppendFrame(nil, Exec, 1, nil)},
		"a number again":           {AppendFrame(nil, Exec, 0, AppendMeta(nil, []byte(`{}`), nil))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantErr(t, Serve(script{bytes.NewReader(bytes.Join(frames, nil))}, HelloMsg{}, handler{}), ErrProtocol)
		})
	}
}

// TestServeRefusesMoreAtOnce sends a second call before the first was answered.
func TestServeRefusesMoreAtOnce(t *testing.T) {
	t.Parallel()
	ours, theirs := socketPair(t)
	end := make(chan error, 1)
	go func() {
		end <- Serve(theirs, HelloMsg{}, handler{exec: func(ctx context.Context, _ *Call) (RespMeta, []byte) {
			<-ctx.Done()
			return RespMeta{OK: true}, []byte("1")
		}})
	}()
	r := &runtimeSide{t: t, in: NewReader(ours), conn: ours}
	r.next(Hello)
	r.send(Init, 0, []byte(`{}`))
	r.next(Resp)
	r.sendMeta(Exec, 1, `{}`, "1")
	r.sendMeta(Exec, 2, `{}`, "1")
	wantErr(t, <-end, ErrProtocol)
	ours.Close()
}

func TestExecMetaAsJSONHasIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := ExecMeta{
			RequestID: rapid.String().Draw(t, "id"), DeadlineMS: rapid.Int64().Draw(t, "deadline"),
			TraceID: rapid.String().Draw(t, "trace"), Traceparent: rapid.String().Draw(t, "parent"), Stream: rapid.Bool().Draw(t, "stream"),
		}
		encoded := appendExecMeta(nil, &want)
		var plain, got ExecMeta
		if err := json.Unmarshal(encoded, &plain); err != nil {
			t.Fatal(err)
		}
		if err := decodeExecMeta(encoded, &got); err != nil || got != plain {
			t.Fatalf("%s: got %+v, %v; want %+v", encoded, got, err, plain)
		}
	})
}

// FuzzServe lets the platform say anything: Serve must return, and with its error classed.
func FuzzServe(f *testing.F) {
	start := AppendFrame(nil, Init, 0, []byte(`{"max_response":100,"max_stream":1000,"concurrency":2}`))
	exec := AppendFrame(nil, Exec, 1, AppendMeta(nil, []byte(`{"request_id":"r","deadline_ms":1,"stream":true}`), []byte("[1]")))
	f.Add(start)
	f.Add(append(bytes.Clone(start), exec...))
	f.Add(append(bytes.Clone(start), AppendFrame(bytes.Clone(exec), Window, 1, []byte(`{"bytes":1}`))...))
	f.Add(append(bytes.Clone(start), AppendFrame(bytes.Clone(exec), Cancel, 1, nil)...))
	f.Add(AppendFrame(bytes.Clone(start), Stop, 0, nil))
	f.Fuzz(func(t *testing.T, stream []byte) {
		err := Serve(script{bytes.NewReader(stream)}, HelloMsg{}, handler{exec: func(_ context.Context, call *Call) (RespMeta, []byte) {
			if call.Meta.Stream {
				_ = call.Chunk(KindJSON, call.Event)
				return RespMeta{OK: true, Streamed: true}, nil
			}
			return RespMeta{OK: true}, call.Event
		}})
		if err != nil && !errors.Is(err, ErrProtocol) && !errors.Is(err, ErrEnded) && !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("an error of no class: %v", err)
		}
	})
}

// FuzzExecMeta holds the two ways of reading meta against each other.
func FuzzExecMeta(f *testing.F) {
	f.Add([]byte(`{"request_id":"r","deadline_ms":12,"trace_id":"t","traceparent":"p","stream":true}`))
	f.Add([]byte(`{"request_id":"","deadline_ms":0}`))
	f.Fuzz(func(t *testing.T, meta []byte) {
		var scanned, decoded ExecMeta
		if !scanExecMeta(meta, &scanned) {
			return
		}
		if err := json.Unmarshal(meta, &decoded); err != nil || decoded != scanned {
			t.Errorf("%s: scanned %+v, decoded %+v, %v", meta, scanned, decoded, err)
		}
	})
}

// BenchmarkServe is a warm call of a runtime that does nothing.
func BenchmarkServe(b *testing.B) {
	c, _ := served(b, handler{}, InitMsg{})
	meta := &ExecMeta{RequestID: "0197a000-0000-7000-8000-000000000000", DeadlineMS: 1_800_000_000_000, TraceID: strings.Repeat("a", 32)}
	event := []byte(`{"name":"Ada"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := c.Exec(b.Context(), meta, event, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// TestInherited takes over a socket, whether it blocks or not.
func TestInherited(t *testing.T) {
	t.Parallel()
	for _, flags := range []int{0, syscall.SOCK_NONBLOCK} {
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := Inherited(uintptr(fds[1]))
		if err != nil {
			t.Fatal(err)
		}
		ours, err := Inherited(uintptr(fds[0]))
		if err != nil {
			t.Fatal(err)
		}
		end := make(chan error, 1)
		go func() { end <- Serve(theirs, HelloMsg{Runtime: "inherited"}, handler{}) }()
		c := NewConn(ours)
		if hello, err := c.Handshake(testContext(t)); err != nil || hello.Runtime != "inherited" {
			t.Errorf("got %+v, %v", hello, err)
		}
		c.Close()
		wantErr(t, <-end, ErrEnded)
	}
	if _, err := Inherited(1 << 20); err == nil {
		t.Error("a descriptor that is none was taken over")
	}
}
