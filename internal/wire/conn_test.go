package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestConversation(t *testing.T) {
	t.Parallel()
	c := pair(t, echo)
	ctx := testContext(t)
	hello, err := c.Handshake(ctx)
	if err != nil || hello.Runtime != "echo" {
		t.Fatalf("handshake: %+v, %v", hello, err)
	}
	if meta, err := c.Init(ctx, InitMsg{Handler: "handler.handle"}); err != nil || !meta.OK {
		t.Fatalf("init: %+v, %v", meta, err)
	}
	results := make(map[string][]byte)
	for n, size := range []int{1, 100, copyBelow, copyBelow + 1, readBuffer, firstStep, 1 << 20, 6 << 20} {
		event := strings.Repeat(fmt.Sprint(n), size)
		meta, result, err := c.Exec(ctx, &ExecMeta{RequestID: "r"}, []byte(event), nil)
		if err != nil || !meta.OK {
			t.Fatalf("exec of %d bytes: %+v, %v", size, meta, err)
		}
		results[event] = result
		if err := c.Ping(ctx); err != nil {
			t.Fatalf("ping: %v", err)
		}
	}
	for event, result := range results { // later calls have not touched them
		if event != string(result) {
			t.Errorf("the result of %d bytes was overwritten", len(event))
		}
	}
	if err := c.Stop(ctx); err != nil {
		t.Fatalf("stop: %v", err)
	}
	_, _, err = c.Exec(ctx, &ExecMeta{}, []byte("1"), nil)
	wantErr(t, err, ErrEnded)
}

func TestHandshakeRefuses(t *testing.T) {
	t.Parallel()
	for name, frame := range map[string][]byte{
		"another version": AppendFrame(nil, Hello, 0, []byte(`{"version":2}`)),
		"not JSON":        AppendFrame(nil, Hello, 0, []byte(`version 1`)),
		"another type":    AppendFrame(nil, Pong, 0, nil),
		"no frame":        []byte("HTTP/1.1 400 Bad Request\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := NewConn(script{bytes.NewReader(frame)})
			_, err := c.Handshake(t.Context())
			wantErr(t, err, ErrProtocol)
			_, err = c.Init(t.Context(), InitMsg{})
			wantErr(t, err, ErrProtocol)
		})
	}
	_, err := NewConn(script{strings.NewReader("")}).Handshake(t.Context())
	wantErr(t, err, ErrEnded)
}

func TestInitFailureIsData(t *testing.T) {
	t.Parallel()
	c := pair(t, func(r *runtimeSide) {
		r.next(Init)
		r.sendMeta(Resp, 0, `{"ok":false,"type":"ValueError","message":"m","stack":["s"]}`, "")
	})
	meta, err := c.Init(testContext(t), InitMsg{})
	if err != nil || meta.OK || meta.Type != "ValueError" || meta.Message != "m" || len(meta.Stack) != 1 {
		t.Errorf("got %+v, %v", meta, err)
	}
}

// TestAnswers sends one frame, or several, in answer to call number 1 of an initialised runtime.
func TestAnswers(t *testing.T) {
	t.Parallel()
	resp := func(number uint64, meta, raw string) []byte {
		return AppendFrame(nil, Resp, number, AppendMeta(nil, []byte(meta), []byte(raw)))
	}
	chunk := func(number uint64, meta, raw string) []byte {
		return AppendFrame(nil, Chunk, number, AppendMeta(nil, []byte(meta), []byte(raw)))
	}
	ok := resp(1, `{"ok":true}`, `"fine"`)
	tests := map[string]struct {
		answer []byte
		stream bool
		want   error
	}{
		"a result":                   {answer: ok},
		"a result with more meta":    {answer: resp(1, `{"ok":true,"future":1}`, `"fine"`)},
		"a late result of init":      {answer: append(resp(0, `{"ok":true}`, ""), ok...)},
		"many late results":          {answer: append(bytes.Repeat(resp(0, `{"ok":true}`, ""), maxLate), ok...)},
		"late results without end":   {answer: append(bytes.Repeat(resp(0, `{"ok":true}`, ""), maxLate+1), ok...), want: ErrProtocol},
		"a number never issued":      {answer: resp(2, `{"ok":true}`, `1`), want: ErrProtocol},
		"a chunk never issued":       {answer: chunk(2, `{"kind":"json"}`, `1`), stream: true, want: ErrProtocol},
		"a chunk of number 0":        {answer: chunk(0, `{"kind":"json"}`, `1`), stream: true, want: ErrProtocol},
		"a pong never asked for":     {answer: AppendFrame(nil, Pong, 1, nil), want: ErrProtocol},
		"a log frame":                {answer: AppendFrame(nil, Log, 1, []byte(`{}`)), want: ErrProtocol},
		"a hello again":              {answer: AppendFrame(nil, Hello, 0, []byte(`{"version":1}`)), want: ErrProtocol},
		"an exec":                    {answer: AppendFrame(nil, Exec, 1, nil), want: ErrProtocol},
		"no meta":                    {answer: AppendFrame(nil, Resp, 1, nil), want: ErrProtocol},
		"meta that is not JSON":      {answer: resp(1, `{`, `1`), want: ErrProtocol},
		"success without a result":   {answer: resp(1, `{"ok":true}`, ``), want: ErrProtocol},
		"failure with a result":      {answer: resp(1, `{"ok":false}`, `1`), want: ErrProtocol},
		"an unwanted chunk":          {answer: chunk(1, `{"kind":"json"}`, `1`), want: ErrProtocol},
		"an unwanted stream":         {answer: resp(1, `{"ok":true,"streamed":true}`, ``), want: ErrProtocol},
		"a stream":                   {answer: append(chunk(1, `{"kind":"text"}`, `a`), resp(1, `{"ok":true,"streamed":true}`, ``)...), stream: true},
		"no stream, though wanted":   {answer: ok, stream: true},
		"a stream with a result":     {answer: resp(1, `{"ok":true,"streamed":true}`, `1`), stream: true, want: ErrProtocol},
		"a chunk of unknown kind":    {answer: chunk(1, `{"kind":"html"}`, `1`), stream: true, want: ErrProtocol},
		"a chunk without meta":       {answer: AppendFrame(nil, Chunk, 1, nil), stream: true, want: ErrProtocol},
		"chunk meta in another form": {answer: append(chunk(1, `{ "kind": "text" }`, `a`), resp(1, `{"ok":true,"streamed":true}`, ``)...), stream: true},
		"a result over its bound":    {answer: resp(1, `{"ok":true}`, strings.Repeat("1", 101)), want: ErrProtocol},
		"a stream over its bound":    {answer: chunk(1, `{"kind":"text"}`, strings.Repeat("1", 1001)), stream: true, want: ErrProtocol},
		"an end":                     {want: ErrEnded},
		"an end inside a frame":      {answer: ok[:20], want: ErrEnded},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := NewConn(script{io.MultiReader(bytes.NewReader(resp(0, `{"ok":true}`, "")), bytes.NewReader(tt.answer))})
			if _, err := c.Init(t.Context(), InitMsg{MaxResponse: 100, MaxStream: 1000}); err != nil {
				t.Fatal(err)
			}
			meta, result, err := c.Exec(t.Context(), &ExecMeta{Stream: tt.stream}, []byte("1"), func(kind string, raw []byte) error {
				if kind != KindText || string(raw) != "a" {
					t.Errorf("got chunk %s %.20q", kind, raw)
				}
				return nil
			})
			wantErr(t, err, tt.want)
			if tt.want == nil && !meta.Streamed && string(result) != `"fine"` {
				t.Errorf("got %q, %+v", result, meta)
			}
			if _, _, err := c.Exec(t.Context(), &ExecMeta{}, []byte("1"), nil); errors.Is(tt.want, ErrProtocol) {
				wantErr(t, err, ErrProtocol) // for good
			}
		})
	}
}

func TestInitRefusesResultsBeforeIt(t *testing.T) {
	t.Parallel()
	stray := AppendFrame(nil, Resp, 0, AppendMeta(nil, []byte(`{"ok":true}`), nil))
	c := NewConn(script{bytes.NewReader(stray)})
	wantErr(t, c.Ping(t.Context()), ErrProtocol)
}

func TestLateFramesAreDropped(t *testing.T) {
	t.Parallel()
	c := pair(t, func(r *runtimeSide) {
		r.next(Exec)
		r.next(Exec)
		r.sendMeta(Chunk, 1, `{"kind":"json"}`, `"late"`)
		r.sendMeta(Resp, 1, `{"ok":true}`, `"late"`)
		r.sendMeta(Resp, 2, `{"ok":true}`, `"second"`)
		r.sendMeta(Resp, 2, `{"ok":true}`, `"second, again"`)
		r.next(Exec)
		r.sendMeta(Resp, 3, `{"ok":true}`, `"third"`)
		r.sendMeta(Resp, 3, `{"ok":true}`, strings.Repeat("x", 3*readBuffer))
		r.next(Ping)
		r.send(Pong, 1, nil)
		r.send(Pong, 1, nil)
		r.next(Ping)
		r.send(Pong, 2, nil)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, _, err := c.Exec(ctx, &ExecMeta{}, []byte("1"), nil)
	wantErr(t, err, context.DeadlineExceeded)
	for _, want := range []string{`"second"`, `"third"`} {
		if _, result, err := c.Exec(testContext(t), &ExecMeta{}, []byte("1"), nil); string(result) != want || err != nil {
			t.Fatalf("got %s, %v; want %s", result, err, want)
		}
	}
	for range 2 {
		if err := c.Ping(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCancellationInterruptsAtOnce(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	c := pair(t, func(r *runtimeSide) {
		r.next(Exec)
		close(arrived)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, _, err := c.Exec(ctx, &ExecMeta{}, []byte("1"), nil)
	wantErr(t, err, context.Canceled)
	_, _, err = c.Exec(ctx, &ExecMeta{}, []byte("1"), nil)
	wantErr(t, err, context.Canceled)
}

func TestCancellationInterruptsAWrite(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := pair(t, func(r *runtimeSide) {
		if _, err := r.conn.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
		cancel() // and nobody reads on
	})
	_, _, err := c.Exec(ctx, &ExecMeta{}, make([]byte, 6<<20), nil)
	wantErr(t, err, context.Canceled)
	if err := c.Ping(testContext(t)); err == nil || !strings.Contains(err.Error(), "cut short") {
		t.Errorf("after half a frame: %v", err)
	}
}

func TestCloseInterrupts(t *testing.T) {
	t.Parallel()
	var c *Conn
	ready := make(chan struct{})
	c = pair(t, func(r *runtimeSide) {
		r.next(Exec)
		<-ready
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	close(ready)
	_, _, err := c.Exec(testContext(t), &ExecMeta{}, []byte("1"), nil)
	wantErr(t, err, ErrEnded)
}

// TestHammerInterrupts cancels calls at about the moment they are answered: none may hurt the next.
func TestHammerInterrupts(t *testing.T) {
	t.Parallel()
	c := pair(t, echo)
	interrupted := 0
	for n := range 3000 {
		ctx, cancel := context.WithCancel(t.Context())
		fire := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			<-fire
			for range n % 50 * 10 {
				_ = fmt.Sprint(n)
			}
			cancel()
		}()
		close(fire)
		_, result, err := c.Exec(ctx, &ExecMeta{}, []byte("1"), nil)
		<-done
		switch {
		case errors.Is(err, context.Canceled):
			interrupted++
			// Takes in the late answer: left alone they fill the socket's buffer in the end.
			if err := c.Ping(testContext(t)); err != nil {
				t.Fatalf("ping after call %d: %v", n, err)
			}
		case err != nil || string(result) != "1":
			t.Fatalf("call %d: %q, %v", n, result, err)
		}
		if c.broken != nil {
			t.Fatalf("call %d broke the connection: %v", n, c.broken)
		}
	}
	t.Logf("%d calls were interrupted", interrupted)
}

func TestTooLargeToSend(t *testing.T) {
	t.Parallel()
	c := pair(t, echo)
	if _, _, err := c.Exec(testContext(t), &ExecMeta{}, make([]byte, MaxFrame), nil); err == nil {
		t.Error("an event over the bound of a frame was sent")
	}
	if _, result, err := c.Exec(testContext(t), &ExecMeta{}, []byte("1"), nil); err != nil || string(result) != "1" {
		t.Errorf("afterwards: %q, %v", result, err)
	}
}

func TestStuckStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		c := NewConn(ours)
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := &runtimeSide{t: t, in: NewReader(theirs), conn: theirs}
			r.next(Exec)
			r.sendMeta(Chunk, 1, `{"kind":"json"}`, `1`)
			r.next(Cancel)
		}()
		gone := errors.New("the reader went away")
		began := time.Now()
		_, _, err := c.Exec(t.Context(), &ExecMeta{Stream: true}, []byte("1"), func(string, []byte) error { return gone })
		wantErr(t, err, gone)
		wantErr(t, err, ErrStuck)
		if waited := time.Since(began); waited != cancelGrace {
			t.Errorf("waited %s for the answer to a cancel", waited)
		}
		<-done
		c.Close()
		theirs.Close()
	})
}
