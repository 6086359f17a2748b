//go:build linux && (amd64 || arm64)

package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"nimbus/internal/driver/sandbox/spawn"
)

// reply is a message from a zygote.
type reply struct {
	spawn.Reply
	pidfd int // -1 = none
}

// control is the driver's end of a zygote's control socket. Safe for concurrent use; one reader.
type control struct{ conn *net.UnixConn }

// newControl makes the socket; theirs is for the zygote to inherit.
func newControl() (c *control, theirs *os.File, err error) {
	ours, theirs, err := socketPair(unix.SOCK_SEQPACKET)
	if err != nil {
		return nil, nil, err
	}
	return &control{conn: ours}, theirs, nil
}

// socketPair returns a connected pair, one end for the runtime's poller, the other for a process.
func socketPair(kind int) (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket")
	defer ours.Close() // FileConn has a copy
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("make a socket: %w", err)
	}
	return conn.(*net.UnixConn), theirs, nil
}

// send hands over a message of the start sequence.
func (c *control) send(b []byte) error {
	_, err := c.conn.Write(b)
	return err
}

// grow makes room for messages of the given size.
func (c *control) grow(size int) error {
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, size)
	})
	if err = errors.Join(err, set); err != nil {
		return fmt.Errorf("make room on the control socket: %w", err)
	}
	return nil
}

// request asks for an instance. Its descriptors are copied.
func (c *control) request(r spawn.Request, fds []*os.File) error {
	b, err := r.Append(nil)
	if err != nil {
		return fmt.Errorf("ask for an instance: %w", err)
	}
	raw := make([]int, len(fds))
	for i, f := range fds {
		raw[i] = int(f.Fd())
	}
	if _, _, err := c.conn.WriteMsgUnix(b, unix.UnixRights(raw...), nil); err != nil {
		return fmt.Errorf("ask for an instance: %w", err)
	}
	return nil
}

// receive waits for the next reply.
func (c *control) receive() (reply, error) {
	var b [1024]byte
	var oob [64]byte
	n, oobn, _, _, err := c.conn.ReadMsgUnix(b[:], oob[:])
	if err != nil {
		return reply{}, err
	}
	parsed, err := spawn.ParseReply(b[:n])
	if err != nil {
		return reply{}, err
	}
	r := reply{Reply: parsed, pidfd: -1}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return reply{}, fmt.Errorf("read a descriptor: %w", err)
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil || len(fds) != 1 {
			return reply{}, errors.Join(errors.New("read a descriptor: not one"), err)
		}
		r.pidfd = fds[0]
	}
	return r, nil
}

func (c *control) setDeadline(t time.Time) { _ = c.conn.SetDeadline(t) }

func (c *control) close() { c.conn.Close() }
