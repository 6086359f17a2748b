package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// runtimeSide is the other end of a Conn, spoken by hand.
type runtimeSide struct {
	t    testing.TB
	in   *Reader
	conn net.Conn
	gone bool // a write failed
}

func (r *runtimeSide) next(want Type) Frame {
	r.t.Helper()
	f, err := r.in.Next()
	if err != nil || f.Type != want {
		r.t.Errorf("the runtime read type %d, %v; want type %d", f.Type, err, want)
	}
	return f
}

func (r *runtimeSide) send(kind Type, number uint64, payload []byte) {
	r.t.Helper()
	if _, err := r.conn.Write(AppendFrame(nil, kind, number, payload)); err != nil {
		r.gone = true
		r.t.Errorf("the runtime wrote type %d: %v", kind, err)
	}
}

func (r *runtimeSide) sendMeta(kind Type, number uint64, meta, raw string) {
	r.t.Helper()
	r.send(kind, number, AppendMeta(nil, []byte(meta), []byte(raw)))
}

// pair returns a Conn and runs script on the other end, in order; the test waits for it.
func pair(t testing.TB, script func(r *runtimeSide)) *Conn {
	t.Helper()
	ours, theirs := socketPair(t)
	c := NewConn(ours)
	c.grace = patience // the machine may be busy
	done := make(chan struct{})
	go func() {
		defer close(done)
		script(&runtimeSide{t: t, in: NewReader(theirs), conn: theirs})
	}()
	t.Cleanup(func() {
		c.Close()
		<-done
		theirs.Close()
	})
	return c
}

// echo answers every Exec with its event until the connection ends.
func echo(r *runtimeSide) {
	for !r.gone {
		f, err := r.in.Next()
		if err != nil {
			return
		}
		switch f.Type {
		case Hello:
			r.send(Hello, 0, []byte(`{"version":1,"runtime":"echo"}`))
		case Init:
			r.sendMeta(Resp, 0, `{"ok":true}`, "")
		case Ping:
			r.send(Pong, f.Invocation, nil)
		case Exec:
			_, event, err := SplitMeta(f.Payload)
			if err != nil {
				r.t.Error(err)
			}
			r.sendMeta(Resp, f.Invocation, `{"ok":true}`, string(event))
		case Stop:
			r.conn.Close()
			return
		}
	}
}

func socketPair(t testing.TB) (net.Conn, net.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for n, fd := range fds {
		file := os.NewFile(uintptr(fd), "socket")
		if ends[n], err = net.FileConn(file); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	return ends[0], ends[1]
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func wantErr(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// script is a Transport that reads fixed bytes and swallows what is written.
type script struct{ io.Reader }

func (script) Write(p []byte) (int, error)      { return len(p), nil }
func (script) Close() error                     { return nil }
func (script) SetReadDeadline(time.Time) error  { return nil }
func (script) SetWriteDeadline(time.Time) error { return nil }
