package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nimbus/internal/testenv"
)

// TestMuxStreams has several streams, of which one is read slowly: the others don't wait for it.
func TestMuxStreams(t *testing.T) {
	t.Parallel()
	const items, size = 100, 100_000 // several windows of credit
	m := muxServed(t, InitMsg{Concurrency: 3}, answers(func(_ context.Context, call *Call) (RespMeta, []byte) {
		for range items {
			if err := call.Chunk(KindText, bytes.Repeat(call.Event, size)); err != nil {
				return RespMeta{Type: "refused", Message: err.Error()}, nil
			}
		}
		return RespMeta{OK: true, Streamed: true}, nil
	}))
	others := make(chan struct{})
	var got [3]int
	sink := func(n int) Sink {
		return Sink{Chunk: func(_ string, raw []byte) error {
			if n == 0 {
				<-others
			}
			if want := strings.Repeat(fmt.Sprint(n), len(raw)); string(raw) != want {
				t.Errorf("stream %d got %.10q", n, raw)
			}
			got[n] += len(raw)
			return nil
		}}
	}
	var results []<-chan result
	for n := range 3 {
		results = append(results, background(testContext(t), m, fmt.Sprint(n), sink(n)))
	}
	for _, n := range []int{1, 2, 0} {
		if r := <-results[n]; r.err != nil || !r.meta.Streamed || got[n] != items*size {
			t.Errorf("stream %d: %d bytes, %+v", n, got[n], r)
		}
		if n == 2 {
			close(others)
		}
	}
	if m.waiting != 0 {
		t.Errorf("%d bytes are said to wait", m.waiting)
	}
}

func TestMuxStreamThatNobodyReadsOn(t *testing.T) {
	t.Parallel()
	m := muxServed(t, InitMsg{Concurrency: 2}, answers(func(_ context.Context, call *Call) (RespMeta, []byte) {
		for {
			if err := call.Chunk(KindJSON, call.Event); err != nil {
				return RespMeta{OK: true, Streamed: true}, nil
			}
		}
	}))
	enough := errors.New("enough")
	for range 20 {
		_, _, err := m.Exec(testContext(t), &ExecMeta{Stream: true}, []byte("1"), Sink{Chunk: func(string, []byte) error { return enough }})
		if !errors.Is(err, enough) || errors.Is(err, ErrStuck) {
			t.Fatalf("got %v", err)
		}
	}
}

func TestMuxStuckStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		m := NewConn(ours).Mux(2)
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := &runtimeSide{t: t, in: NewReader(theirs), conn: theirs}
			r.next(Exec)
			r.sendMeta(Chunk, 1, `{"kind":"json"}`, `1`)
			r.next(Cancel)
			r.next(Cancel) // on giving it up
			r.next(Exec)
			r.sendMeta(Resp, 2, `{"ok":true}`, `2`)
		}()
		gone := errors.New("the reader went away")
		began := time.Now()
		_, _, err := m.Exec(t.Context(), &ExecMeta{Stream: true}, []byte("1"), Sink{Chunk: func(string, []byte) error { return gone }})
		wantErr(t, err, gone)
		wantErr(t, err, ErrStuck)
		if waited := time.Since(began); waited != cancelGrace {
			t.Errorf("waited %s for the answer to a cancel", waited)
		}
		synctest.Wait()
		if _, raw, err := m.Exec(t.Context(), &ExecMeta{}, []byte("2"), Sink{}); err != nil || string(raw) != "2" {
			t.Errorf("another call: %q, %v", raw, err)
		}
		<-done
		m.Close()
		theirs.Close()
		m.Wait()
	})
}

// TestMuxBoundsWhatWaits has many streams that nobody takes from: the runtime is read no further than the bound, and
// goes on when someone takes.
func TestMuxBoundsWhatWaits(t *testing.T) {
	t.Parallel()
	const streams, size = 3 * maxWaiting / (2 * InitialWindow), InitialWindow / 2
	m := muxServed(t, InitMsg{Concurrency: streams}, answers(func(_ context.Context, call *Call) (RespMeta, []byte) {
		for range 3 { // as much as there is credit for, and more
			if err := call.Chunk(KindBytes, make([]byte, size)); err != nil {
				return RespMeta{Type: "refused", Message: err.Error()}, nil
			}
		}
		return RespMeta{OK: true, Streamed: true}, nil
	}))
	open := make(chan struct{})
	var got [streams]int
	var results []<-chan result
	for n := range streams {
		results = append(results, background(testContext(t), m, "1", Sink{Chunk: func(_ string, raw []byte) error {
			<-open
			got[n] += len(raw)
			return nil
		}}))
	}
	waiting := func() int64 {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.waiting
	}
	testenv.Eventually(t, patience, func() bool { return waiting() > maxWaiting })
	if n := waiting(); n > maxWaiting+InitialWindow {
		t.Errorf("%d bytes wait", n)
	}
	close(open)
	for n, done := range results {
		if r := <-done; r.err != nil || !r.meta.Streamed || got[n] != 3*size {
			t.Errorf("stream %d: %d bytes, %+v", n, got[n], r)
		}
	}
}
