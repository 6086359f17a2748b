package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"

	"nimbus/internal/testenv"
)

// muxPair returns a Mux for so many calls at once, and runs script on the other end; the test waits for both.
func muxPair(t testing.TB, atOnce int, script func(r *runtimeSide)) *Mux {
	t.Helper()
	m := pair(t, script).Mux(atOnce)
	t.Cleanup(func() {
		m.Close()
		m.Wait()
	})
	return m
}

// muxOf returns a Mux over the frames that a runtime is to have sent.
func muxOf(t testing.TB, stream io.Reader, atOnce int) *Mux {
	t.Helper()
	c := NewConn(script{stream})
	c.initialised, c.maxResponse, c.maxStream = true, 100, 1000
	m := c.Mux(atOnce)
	t.Cleanup(func() {
		m.Close()
		m.Wait()
	})
	return m
}

// muxServed returns a Mux whose runtime is h.
func muxServed(t testing.TB, msg InitMsg, h Handler) *Mux {
	t.Helper()
	ours, theirs := socketPair(t)
	ended := make(chan error, 1)
	go func() { ended <- Serve(theirs, HelloMsg{}, h) }()
	c := NewConn(ours)
	if _, err := c.Handshake(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if meta, err := c.Init(testContext(t), msg); err != nil || !meta.OK {
		t.Fatalf("init: %+v, %v", meta, err)
	}
	m := c.Mux(msg.Concurrency)
	m.grace = patience
	t.Cleanup(func() {
		m.Close()
		m.Wait()
		<-ended
	})
	return m
}

// answers maps an Exec's event to what becomes of it.
type answers func(ctx context.Context, call *Call) (RespMeta, []byte)

func (answers) Init(context.Context, InitMsg) RespMeta { return RespMeta{OK: true} }

func (a answers) Exec(ctx context.Context, call *Call) (RespMeta, []byte) { return a(ctx, call) }

type result struct {
	meta RespMeta
	raw  []byte
	err  error
}

// background runs a call in the background.
func background(ctx context.Context, m *Mux, event string, to Sink) <-chan result {
	done := make(chan result, 1)
	go func() {
		meta, raw, err := m.Exec(ctx, &ExecMeta{Stream: to.Chunk != nil}, []byte(event), to)
		done <- result{meta, raw, err}
	}()
	return done
}

func TestMuxAnswersAsCallsEnd(t *testing.T) {
	t.Parallel()
	const calls = 50
	m := muxPair(t, calls, func(r *runtimeSide) {
		events := make(map[uint64]string)
		for range calls {
			f := r.next(Exec)
			_, event, _ := SplitMeta(f.Payload)
			events[f.Invocation] = string(event)
		}
		for number := uint64(calls); number > 0; number-- { // the last comes first
			r.sendMeta(Resp, number, `{"ok":true}`, events[number])
		}
	})
	var results []<-chan result
	for n := range calls {
		results = append(results, background(testContext(t), m, fmt.Sprint(n), Sink{}))
	}
	for n, done := range results {
		if got := <-done; got.err != nil || string(got.raw) != fmt.Sprint(n) {
			t.Errorf("call %d: %q, %v", n, got.raw, got.err)
		}
	}
}

func TestMuxTakesNoMoreThanTheRuntimeDoes(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	m := muxServed(t, InitMsg{Concurrency: 2}, answers(func(_ context.Context, call *Call) (RespMeta, []byte) {
		if call.Meta.Stream {
			_ = call.Chunk(KindJSON, call.Event)
		}
		<-release
		return RespMeta{OK: true}, call.Event
	}))
	running := make(chan struct{}, 2)
	up := Sink{Chunk: func(string, []byte) error { running <- struct{}{}; return nil }}
	first, cancelled := context.WithCancel(testContext(t))
	defer cancelled()
	a, b := background(first, m, "1", up), background(testContext(t), m, "2", up)
	<-running
	<-running
	if _, _, err := m.Exec(testContext(t), &ExecMeta{}, []byte("3"), Sink{}); err == nil || !strings.Contains(err.Error(), "2 calls are under way") {
		t.Errorf("a third call: %v", err)
	}
	// One that was given up is still run.
	cancelled()
	if got := <-a; !errors.Is(got.err, context.Canceled) {
		t.Errorf("the cancelled call: %v", got.err)
	}
	if _, _, err := m.Exec(testContext(t), &ExecMeta{}, []byte("3"), Sink{}); err == nil {
		t.Error("a call in the place of one that the runtime has not answered")
	}
	close(release)
	if got := <-b; got.err != nil || string(got.raw) != "2" {
		t.Errorf("the other: %q, %v", got.raw, got.err)
	}
}

func TestMuxCancelsOneCall(t *testing.T) {
	t.Parallel()
	told := make(chan string, 1)
	running := make(chan struct{}, 1)
	release := make(chan struct{})
	m := muxServed(t, InitMsg{Concurrency: 2}, answers(func(ctx context.Context, call *Call) (RespMeta, []byte) {
		if string(call.Event) == `"other"` {
			<-release
			return RespMeta{OK: true}, call.Event
		}
		running <- struct{}{}
		<-ctx.Done()
		told <- string(call.Event)
		return RespMeta{OK: true}, call.Event
	}))
	ctx, cancel := context.WithCancel(testContext(t))
	other := background(testContext(t), m, `"other"`, Sink{})
	one := background(ctx, m, `"one"`, Sink{})
	<-running
	cancel()
	if got := <-one; !errors.Is(got.err, context.Canceled) {
		t.Errorf("the call: %+v", got)
	}
	if got := <-told; got != `"one"` {
		t.Errorf("the runtime was told of %s", got)
	}
	close(release)
	if got := <-other; got.err != nil || string(got.raw) != `"other"` {
		t.Errorf("the other call: %+v", got)
	}
}

// TestMuxPrintsBeforeTheAnswer interleaves the output of two calls.
func TestMuxPrintsBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	m := muxPair(t, 2, func(r *runtimeSide) {
		r.next(Exec)
		r.next(Exec)
		for n := range 100 {
			r.sendMeta(Log, 1, `{"stream":"stdout"}`, fmt.Sprintf("1.%d ", n))
			r.sendMeta(Log, 2, `{"stream":"stderr"}`, fmt.Sprintf("2.%d ", n))
		}
		r.sendMeta(Resp, 1, `{"ok":true}`, "1")
		r.sendMeta(Log, 1, `{"stream":"stdout"}`, "late")
		r.sendMeta(Log, 2, `{ "stream": "stderr" }`, "end")
		r.sendMeta(Resp, 2, `{"ok":false,"type":"E"}`, "")
	})
	var mu sync.Mutex
	printed := make(map[string]string)
	into := func(stream string, p []byte) {
		mu.Lock()
		defer mu.Unlock()
		printed[stream] += string(p)
	}
	a, b := background(testContext(t), m, "1", Sink{Log: into}), background(testContext(t), m, "2", Sink{Log: into})
	for _, got := range []result{<-a, <-b} {
		if got.err != nil {
			t.Error(got.err)
		}
	}
	var want [2]strings.Builder
	for n := range 100 {
		fmt.Fprintf(&want[0], "1.%d ", n)
		fmt.Fprintf(&want[1], "2.%d ", n)
	}
	if printed[StreamStdout] != want[0].String() || printed[StreamStderr] != want[1].String()+"end" {
		t.Errorf("printed %q", printed)
	}
}

// TestMuxInterruptedWrite gives up a call in the middle of its event: the next writer finishes the frame.
func TestMuxInterruptedWrite(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(testContext(t))
	given := make(chan struct{})
	const size = 6 << 20
	m := muxPair(t, 2, func(r *runtimeSide) {
		first := make([]byte, 1)
		if _, err := r.conn.Read(first); err != nil {
			t.Error(err)
		}
		cancel() // and nobody reads on, until it has been given up
		<-given
		r.in = NewReader(io.MultiReader(bytes.NewReader(first), r.conn))
		if f := r.next(Exec); f.Invocation != 1 || len(f.Payload) < size {
			t.Errorf("call %d of %d bytes", f.Invocation, len(f.Payload))
		}
		for {
			f, err := r.in.Next()
			if err != nil {
				t.Error(err)
				return
			}
			if f.Type == Exec { // behind a Cancel, or before it
				r.sendMeta(Resp, f.Invocation, `{"ok":true}`, "2")
				return
			}
		}
	})
	_, _, err := m.Exec(ctx, &ExecMeta{}, bytes.Repeat([]byte("x"), size), Sink{})
	wantErr(t, err, context.Canceled)
	close(given)
	if _, raw, err := m.Exec(testContext(t), &ExecMeta{}, []byte("2"), Sink{}); err != nil || string(raw) != "2" {
		t.Errorf("the next call: %q, %v", raw, err)
	}
}

func TestMuxEndsAllCallsWithTheRuntime(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	m := muxPair(t, 3, func(r *runtimeSide) {
		for range 3 {
			r.next(Exec)
		}
		r.sendMeta(Resp, 2, `{"ok":true}`, "2") // the last thing it says
		r.conn.Close()
		close(left)
	})
	var results []<-chan result
	for range 3 {
		results = append(results, background(testContext(t), m, "1", Sink{}))
	}
	<-left
	answered := 0
	for _, done := range results {
		if got := <-done; got.err == nil {
			answered++
		} else if !errors.Is(got.err, ErrEnded) || errors.Is(got.err, ErrUnsent) {
			t.Errorf("got %v", got.err)
		}
	}
	if answered != 1 {
		t.Errorf("%d calls were answered", answered)
	}
	_, _, err := m.Exec(testContext(t), &ExecMeta{}, []byte("1"), Sink{})
	wantErr(t, err, ErrUnsent)
	wantErr(t, m.Ping(testContext(t)), ErrEnded)
	m.Wait()
}

// TestMuxOfARuntimeThatEnds sends a runtime that is to end no call, and tells it when it owes nothing.
func TestMuxOfARuntimeThatEnds(t *testing.T) {
	t.Parallel()
	stopped := make(chan struct{})
	asked := make(chan struct{})
	m := muxPair(t, 3, func(r *runtimeSide) {
		r.next(Exec)
		r.next(Exec)
		r.sendMeta(Resp, 1, `{"ok":false,"type":"E","ending":true}`, "")
		<-asked
		r.sendMeta(Resp, 2, `{"ok":true,"ending":true}`, "2")
		r.next(Stop)
		r.conn.Close()
		close(stopped)
	})
	a, b := background(testContext(t), m, "1", Sink{}), background(testContext(t), m, "1", Sink{})
	other := a
	select {
	case <-a:
		other = b
	case <-b:
	}
	_, _, err := m.Exec(testContext(t), &ExecMeta{}, []byte("1"), Sink{})
	wantErr(t, err, ErrUnsent)
	close(asked)
	if got := <-other; got.err != nil || !got.meta.Ending {
		t.Errorf("the other call: %+v", got)
	}
	<-stopped
}

func TestMuxTooLargeToSend(t *testing.T) {
	t.Parallel()
	m := muxPair(t, 1, echo)
	_, _, err := m.Exec(testContext(t), &ExecMeta{}, make([]byte, MaxFrame), Sink{})
	wantErr(t, err, ErrUnsent)
	if _, raw, err := m.Exec(testContext(t), &ExecMeta{}, []byte("1"), Sink{}); err != nil || string(raw) != "1" {
		t.Errorf("afterwards: %q, %v", raw, err)
	}
}

// TestHammerMux has many callers share a connection while some of them give up at about the moment they are
// answered: each gets its own answer or its own error, and none hurts another.
func TestHammerMux(t *testing.T) {
	t.Parallel()
	const callers, calls = 16, 200
	m := muxServed(t, InitMsg{Concurrency: callers * calls}, answers(func(_ context.Context, call *Call) (RespMeta, []byte) {
		if call.Meta.Stream {
			for range 3 {
				_ = call.Chunk(KindJSON, call.Event)
			}
			return RespMeta{OK: true, Streamed: true}, nil
		}
		return RespMeta{OK: true}, call.Event
	}))
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for n := range calls {
				event := fmt.Sprintf(`"%d.%d"`, caller, n)
				if n%50 == 0 {
					event = `"` + strings.Repeat(fmt.Sprint(caller%10), 2*copyBelow) + `"`
				}
				ctx, cancel := context.WithCancel(t.Context())
				if caller%4 == 0 {
					go func() {
						for range n % 20 {
							runtime.Gosched()
						}
						cancel()
					}()
				}
				var to Sink
				if n%3 == 0 {
					to.Chunk = func(_ string, raw []byte) error {
						if string(raw) != event {
							t.Errorf("caller %d got an item of another", caller)
						}
						return nil
					}
				}
				_, raw, err := m.Exec(ctx, &ExecMeta{Stream: to.Chunk != nil}, []byte(event), to)
				switch {
				case errors.Is(err, context.Canceled) && caller%4 == 0:
				case err != nil:
					t.Errorf("caller %d: %v", caller, err)
				case to.Chunk == nil && string(raw) != event:
					t.Errorf("caller %d got %.40s for %.40s", caller, raw, event)
				}
				if n%100 == 0 {
					if err := m.Ping(testContext(t)); err != nil {
						t.Error(err)
					}
				}
				cancel()
			}
		})
	}
	all.Wait()
	testenv.Eventually(t, patience, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.calls) == 0 && m.waiting == 0
	})
}
