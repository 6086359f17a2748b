package transport

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nimbus"
)

// A client that sends all of its body before it looks for the answer gets the answer.
func TestARefusedBodyIsReadOn(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := ReadBody(w, r, 8); nimbus.CodeOf(err) != nimbus.CodeTooLarge {
			t.Errorf("error %v", err)
		}
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}))
	defer server.Close()
	const size = 8 << 20 // more than sockets buffer
	for name, framing := range map[string]string{
		"length": fmt.Sprintf("Content-Length: %d\r\n\r\n", size),
		"chunks": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", size),
	} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		body := strings.Repeat("x", size)
		if framing[0] == 'T' {
			body += "\r\n0\r\n\r\n"
		}
		if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\n"+framing+body); err != nil {
			t.Errorf("%s: send: %v", name, err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %+v, %v", name, resp, err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

// oneConn is a listener with one connection.
type oneConn struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l oneConn) Close() error {
	close(l.closed)
	return nil
}

func (l oneConn) Addr() net.Addr { return &net.TCPAddr{} }

func TestABodyHasToArriveInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got error
		calm := false
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, got = ReadBody(w, r, 100)
			if got == nil { // the deadline was the body's, not the call's
				select {
				case <-r.Context().Done():
				case <-time.After(10 * bodyTime):
					calm = true
				}
			}
		})}
		mine, theirs := net.Pipe()
		l := oneConn{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
		l.conns <- theirs
		go func() { _ = server.Serve(l) }() // ends with ErrServerClosed
		answers := bufio.NewReader(mine)

		if _, err := io.WriteString(mine, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"); err != nil {
			t.Fatal(err)
		}
		if _, err := http.ReadResponse(answers, nil); err != nil || got != nil || !calm {
			t.Errorf("in time: %v, %v, calm %t", err, got, calm)
		}
		began := time.Now()
		if _, err := io.WriteString(mine, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\na"); err != nil {
			t.Fatal(err)
		}
		if _, err := http.ReadResponse(answers, nil); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); nimbus.CodeOf(got) != nimbus.CodeBadRequest || took != bodyTime {
			t.Errorf("after %s: %v", took, got)
		}
		if _, err := answers.ReadByte(); err != io.EOF {
			t.Errorf("the connection goes on: %v", err)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
}
