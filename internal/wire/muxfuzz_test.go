package wire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestMuxAnswers has a runtime answer call number 1 with one frame, or several.
func TestMuxAnswers(t *testing.T) {
	t.Parallel()
	frame := func(kind Type, number uint64, meta, raw string) string {
		return string(AppendFrame(nil, kind, number, AppendMeta(nil, []byte(meta), []byte(raw))))
	}
	ok := frame(Resp, 1, `{"ok":true}`, `"fine"`)
	ended := frame(Resp, 1, `{"ok":true,"streamed":true}`, "")
	out := `{"stream":"stdout"}`
	tests := map[string]struct {
		answer string
		stream bool
		want   error
	}{
		"a result":                  {answer: ok},
		"a late result of init":     {answer: frame(Resp, 0, `{"ok":true}`, "") + ok},
		"many late results":         {answer: strings.Repeat(frame(Resp, 0, `{"ok":true}`, ""), maxLate) + ok},
		"late results without end":  {answer: strings.Repeat(frame(Resp, 0, `{"ok":true}`, ""), maxLate+1) + ok, want: ErrProtocol},
		"output without end":        {answer: strings.Repeat(frame(Log, 1, out, "x"), maxLate+1) + ok},
		"a number never issued":     {answer: frame(Resp, 2, `{"ok":true}`, `1`), want: ErrProtocol},
		"a chunk never issued":      {answer: frame(Chunk, 2, `{"kind":"json"}`, `1`), stream: true, want: ErrProtocol},
		"a chunk of number 0":       {answer: frame(Chunk, 0, `{"kind":"json"}`, `1`), stream: true, want: ErrProtocol},
		"output never issued":       {answer: frame(Log, 2, out, `1`), want: ErrProtocol},
		"output of number 0":        {answer: frame(Log, 0, out, `1`), want: ErrProtocol},
		"output of unknown stream":  {answer: frame(Log, 1, `{"stream":"tape"}`, `1`), want: ErrProtocol},
		"output without meta":       {answer: string(AppendFrame(nil, Log, 1, nil)), want: ErrProtocol},
		"a pong never asked for":    {answer: string(AppendFrame(nil, Pong, 1, nil)), want: ErrProtocol},
		"a hello again":             {answer: string(AppendFrame(nil, Hello, 0, []byte(`{"version":1}`))), want: ErrProtocol},
		"success without a result":  {answer: frame(Resp, 1, `{"ok":true}`, ``), want: ErrProtocol},
		"a call that was not run":   {answer: frame(Resp, 1, `{"ok":false,"ending":true,"unrun":true}`, ``), want: ErrUnsent},
		"a result of no run":        {answer: frame(Resp, 1, `{"ok":true,"unrun":true}`, `1`), want: ErrProtocol},
		"a stream of no run":        {answer: frame(Chunk, 1, `{"kind":"text"}`, `a`) + frame(Resp, 1, `{"ok":false,"unrun":true}`, ``), stream: true, want: ErrProtocol},
		"an unwanted chunk":         {answer: frame(Chunk, 1, `{"kind":"json"}`, `1`), want: ErrProtocol},
		"an unwanted stream":        {answer: ended, want: ErrProtocol},
		"a stream":                  {answer: frame(Chunk, 1, `{"kind":"text"}`, `a`) + ended, stream: true},
		"a chunk of unknown kind":   {answer: frame(Chunk, 1, `{"kind":"html"}`, `1`), stream: true, want: ErrProtocol},
		"a result over its bound":   {answer: frame(Resp, 1, `{"ok":true}`, strings.Repeat("1", 101)), want: ErrProtocol},
		"a stream over its bound":   {answer: frame(Chunk, 1, `{"kind":"text"}`, strings.Repeat("1", 1001)), stream: true, want: ErrProtocol},
		"an end":                    {want: ErrEnded},
		"an end inside a frame":     {answer: ok[:20], want: ErrEnded},
		"a frame out of all bounds": {answer: "\xff\xff\xff\xff", want: ErrProtocol},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan struct{})
			m := muxOf(t, io.MultiReader(gate{asked}, strings.NewReader(tt.answer)), 1)
			m.out.rw = signalling{m.out.rw, asked}
			to := Sink{Log: func(string, []byte) {}}
			if tt.stream {
				to.Chunk = func(kind string, raw []byte) error {
					if kind != KindText || string(raw) != "a" {
						t.Errorf("got chunk %s %.20q", kind, raw)
					}
					return nil
				}
			}
			got := <-background(testContext(t), m, "1", to)
			wantErr(t, got.err, tt.want)
			if tt.want == nil && !got.meta.Streamed && string(got.raw) != `"fine"` {
				t.Errorf("got %q, %+v", got.raw, got.meta)
			}
			if m.Wait(); tt.want != nil {
				_, _, err := m.Exec(t.Context(), &ExecMeta{}, []byte("1"), Sink{})
				wantErr(t, err, tt.want) // for good
			}
		})
	}
}

// gate is a Reader of nothing that opens with the channel.
type gate struct{ open <-chan struct{} }

func (g gate) Read([]byte) (int, error) {
	<-g.open
	return 0, io.EOF
}

// signalling closes a channel when something is written first.
type signalling struct {
	Transport
	written chan struct{}
}

func (s signalling) Write(p []byte) (int, error) {
	defer func() {
		select {
		case <-s.written:
		default:
			close(s.written)
		}
	}()
	return s.Transport.Write(p)
}

// FuzzMux lets a runtime send anything while calls run: every one must return, with its error classed.
func FuzzMux(f *testing.F) {
	meta := func(t Type, number uint64, meta, raw string) string {
		return string(AppendFrame(nil, t, number, AppendMeta(nil, []byte(meta), []byte(raw))))
	}
	chunk, log := meta(Chunk, 2, `{"kind":"json"}`, "1"), meta(Log, 1, `{"stream":"stderr"}`, "x")
	f.Add([]byte(meta(Resp, 1, `{"ok":true}`, "1") + meta(Resp, 2, `{"ok":true}`, "1") + meta(Resp, 3, `{"ok":true}`, "1")))
	f.Add([]byte(chunk + log + chunk + meta(Resp, 2, `{"ok":true,"streamed":true}`, "") + log))
	f.Add([]byte(chunk + meta(Resp, 2, `{"ok":false,"type":"E","message":"m","stack":["s"],"ending":true}`, "") + meta(Resp, 1, `{"ok":true}`, "1")))
	f.Add([]byte(meta(Resp, 1, `{"ok":true}`, "1") + strings.Repeat(meta(Resp, 1, `{"ok":true}`, "1"), 3)))
	f.Fuzz(func(t *testing.T, stream []byte) {
		for _, refuse := range []error{nil, errors.New("refused")} {
			asked := make(chan struct{})
			m := muxOf(t, io.MultiReader(gate{asked}, iotest.HalfReader(bytes.NewReader(stream))), 3)
			to := Sink{
				Log: func(stream string, _ []byte) {
					if stream != StreamStdout && stream != StreamStderr {
						t.Errorf("output to %q", stream)
					}
				},
				Chunk: func(kind string, raw []byte) error {
					if kind != KindJSON && kind != KindText && kind != KindBytes || len(raw) > 1000 {
						t.Errorf("chunk of kind %q with %d bytes", kind, len(raw))
					}
					return refuse
				},
			}
			var results []<-chan result
			for range 3 {
				results = append(results, background(t.Context(), m, "1", to))
			}
			close(asked)
			for _, done := range results {
				got := <-done
				if (!errors.Is(got.err, refuse) || refuse == nil) && !errors.Is(got.err, ErrUnsent) {
					classed(t, got.err)
				}
				if got.err == nil && got.meta.OK != (len(got.raw) > 0 || got.meta.OK && got.meta.Streamed) || len(got.raw) > 100 {
					t.Errorf("%+v came with %d bytes", got.meta, len(got.raw))
				}
			}
			m.Wait()
			if m.waiting != 0 {
				t.Errorf("%d bytes are said to wait", m.waiting)
			}
		}
	})
}
