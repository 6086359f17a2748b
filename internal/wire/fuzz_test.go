package wire

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// FuzzConn lets a runtime answer with anything: every call must return, with its error classed.
func FuzzConn(f *testing.F) {
	hello := AppendFrame(nil, Hello, 0, []byte(`{"version":1}`))
	meta := func(t Type, number uint64, meta, raw string) []byte {
		return AppendFrame(nil, t, number, AppendMeta(nil, []byte(meta), []byte(raw)))
	}
	initialised := append(bytes.Clone(hello), meta(Resp, 0, `{"ok":true}`, "")...)
	streamed := append(bytes.Clone(initialised), meta(Chunk, 1, `{"kind":"json"}`, "1")...)
	f.Add(hello)
	f.Add(initialised)
	f.Add(append(bytes.Clone(initialised), meta(Resp, 1, `{"ok":true}`, "1")...))
	f.Add(append(bytes.Clone(streamed), meta(Resp, 1, `{"ok":true,"streamed":true}`, "")...))
	f.Add(append(bytes.Clone(streamed), meta(Resp, 1, `{"ok":false,"type":"E","message":"m","stack":["s"],"streamed":true}`, "")...))
	f.Add(append(bytes.Clone(streamed), meta(Resp, 2, `{"ok":true}`, "1")...))
	f.Fuzz(func(t *testing.T, stream []byte) {
		for _, refuse := range []error{nil, errors.New("refused")} {
			c := NewConn(script{iotest.HalfReader(bytes.NewReader(stream))})
			_, err := c.Handshake(t.Context())
			classed(t, err)
			_, err = c.Init(t.Context(), InitMsg{MaxResponse: 100, MaxStream: 1000})
			classed(t, err)
			for range 2 {
				meta, result, err := c.Exec(t.Context(), &ExecMeta{Stream: true}, []byte("1"), func(kind string, raw []byte) error {
					if kind != KindJSON && kind != KindText && kind != KindBytes || len(raw) > 1000 {
						t.Errorf("chunk of kind %q with %d bytes", kind, len(raw))
					}
					return refuse
				})
				if !errors.Is(err, refuse) || refuse == nil {
					classed(t, err)
				}
				if err == nil && meta.OK != (len(result) > 0 || meta.OK && meta.Streamed) || len(result) > 100 {
					t.Errorf("%+v came with %d bytes", meta, len(result))
				}
			}
			classed(t, c.Ping(t.Context()))
		}
	})
}

func classed(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrProtocol) && !errors.Is(err, ErrEnded) && !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("an error of no class: %v", err)
	}
}
