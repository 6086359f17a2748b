//go:build linux && (amd64 || arm64)

package spawn

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxDescriptors bounds those that go with a request.
const maxDescriptors = 16

// Zygote starts instances on request, in the namespaces this process was started in, until the control socket
// ends. It never returns: its instances end with it.
func Zygote() {
	z, err := newZygote()
	if err != nil {
		_ = unix.Send(Control, Reply{Kind: NotForked, Text: err.Error()}.Append(nil), 0)
		os.Exit(1)
	}
	if err := z.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0) // the server is gone
}

// zygote is one goroutine's, but for what reads the control socket.
type zygote struct {
	setup    Setup
	self     string         // this program
	children map[int]uint64 // pid → sequence number
	requests chan incoming  // closed when the control socket ends
	reaping  chan os.Signal // SIGCHLD
}

// incoming is a request as it came.
type incoming struct {
	message []byte
	fds     []int
}

func newZygote() (*zygote, error) {
	// Nothing of the zygote's is for an instance.
	if err := unix.CloseRange(Control, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return nil, fmt.Errorf("close descriptors: %w", err)
	}
	b := make([]byte, MaxMessage)
	n, err := unix.Read(Control, b)
	if err != nil {
		return nil, fmt.Errorf("read the setup: %w", err)
	}
	z := &zygote{children: make(map[int]uint64), requests: make(chan incoming), reaping: make(chan os.Signal, 1)}
	if err := json.Unmarshal(b[:n], &z.setup); err != nil {
		return nil, fmt.Errorf("read the setup: %w", err)
	}
	if len(z.setup.Argv) == 0 {
		return nil, errors.New("read the setup: nothing to execute")
	}
	if z.self, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	// Said now and in words, and not by the first instance.
	if err := unix.Access(z.setup.Argv[0], unix.X_OK); err != nil {
		return nil, fmt.Errorf("start %s: %w", z.setup.Argv[0], err)
	}
	z.setup.Masked = masks(z.setup.Masked)
	return z, nil
}

// masks returns those of the files of /proc that are there for others to read or write. Where a mode keeps
// them out already, nothing needs to be hidden.
func masks(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		info, err := os.Stat("/proc/" + name)
		return err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o006 == 0
	})
}

func (z *zygote) run() error {
	signal.Notify(z.reaping, unix.SIGCHLD)
	ended := make(chan error, 1)
	go func() { ended <- z.receive() }()
	if err := z.reply(Reply{Kind: Ready}, -1); err != nil {
		return err
	}
	for {
		var err error
		select {
		case r, open := <-z.requests:
			if !open {
				return <-ended
			}
			err = z.serve(r)
		case <-z.reaping:
			err = z.reap()
		}
		if err != nil {
			return err
		}
	}
}

// receive hands on what comes on the control socket, until that ends.
func (z *zygote) receive() error {
	defer close(z.requests)
	b, oob := make([]byte, MaxMessage), make([]byte, unix.CmsgSpace(4*maxDescriptors))
	for {
		n, oobn, _, _, err := unix.Recvmsg(Control, b, oob, unix.MSG_CMSG_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECONNRESET), err == nil && n == 0:
			return nil
		case err != nil:
			return fmt.Errorf("read a request: %w", err)
		}
		r := incoming{message: slices.Clone(b[:n])}
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return fmt.Errorf("read a request's descriptors: %w", err)
		}
		for _, m := range messages {
			fds, err := unix.ParseUnixRights(&m)
			if err != nil {
				return fmt.Errorf("read a request's descriptors: %w", err)
			}
			r.fds = append(r.fds, fds...)
		}
		z.requests <- r
	}
}

// serve starts an instance. Its error is the zygote's end; an instance that can't be started is answered.
func (z *zygote) serve(in incoming) error {
	defer func() {
		for _, fd := range in.fds {
			unix.Close(fd)
		}
	}()
	r, err := ParseRequest(in.message)
	if err != nil {
		return err
	}
	pid, pidfd, err := z.start(r, in.fds)
	if err != nil {
		return z.reply(Reply{Kind: NotForked, Seq: r.Seq, Text: err.Error()}, -1)
	}
	defer unix.Close(pidfd)
	z.children[pid] = r.Seq
	return z.reply(Reply{Kind: Forked, Seq: r.Seq}, pidfd)
}

// start starts this program as PID 1 of a PID namespace, with its order as stdin.
func (z *zygote) start(r Request, fds []int) (pid, pidfd int, err error) {
	if len(fds) < 3 {
		return 0, -1, fmt.Errorf("a request with %d descriptors", len(fds))
	}
	o := order{Policy: z.setup.Policy, Argv: z.setup.Argv, Env: merge(z.setup.Env, r.Env),
		UID: r.UID, Tmp: r.Tmp, Inodes: r.Inodes, Groups: len(fds) - 3}
	slip, err := o.file()
	if err != nil {
		return 0, -1, err
	}
	defer unix.Close(slip)
	files := []uintptr{uintptr(slip), uintptr(fds[1]), uintptr(fds[2]), uintptr(fds[0])}
	for _, fd := range fds[3:] {
		files = append(files, uintptr(fd))
	}
	pid, err = syscall.ForkExec(z.self, []string{z.self, "instance"}, &syscall.ProcAttr{
		Dir: "/", Files: files,
		Sys: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Setsid: true, PidFD: &pidfd},
	})
	if err != nil {
		return 0, -1, fmt.Errorf("start a process in a PID namespace: %w", err)
	}
	return pid, pidfd, nil
}

// merge returns the environment with what is set anew.
func merge(env, anew []string) []string {
	kept := slices.DeleteFunc(slices.Clone(env), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.ContainsFunc(anew, func(a string) bool { return strings.HasPrefix(a, name+"=") })
	})
	return append(kept, anew...)
}

// reap tells of the instances that have ended.
func (z *zygote) reap() error {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD), err == nil && pid == 0:
			return nil
		case err != nil:
			return fmt.Errorf("wait for instances: %w", err)
		}
		seq, ours := z.children[pid]
		if !ours {
			continue
		}
		delete(z.children, pid)
		if err := z.reply(Reply{Kind: Exited, Seq: seq, Status: int32(status)}, -1); err != nil {
			return err
		}
	}
}

// reply sends a message, with a descriptor unless that is -1.
func (z *zygote) reply(r Reply, fd int) error {
	var rights []byte
	if fd >= 0 {
		rights = unix.UnixRights(fd)
	}
	for {
		err := unix.Sendmsg(Control, r.Append(nil), rights, nil, unix.MSG_NOSIGNAL)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("answer the server: %w", err)
		}
		return nil
	}
}
