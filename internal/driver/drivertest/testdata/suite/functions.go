package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// errStreamed says that the result went out as chunks.
var errStreamed = errors.New("streamed")

// functions is an instance's.
type functions struct {
	name  string
	calls int
	ticks int
	kept  [][]byte
}

// call runs the function that this instance is of. chunk sends an item of a stream; nil = none is wanted.
func (f *functions) call(event json.RawMessage, chunk func(text string) error) (any, error) {
	switch f.name {
	case "echo":
		return event, nil
	case "count":
		f.calls++
		return f.calls, nil
	case "raises":
		return nil, errors.New("not today")
	case "exit":
		fmt.Println("last words")
		os.Exit(number(event))
	case "last":
		os.Stdout.WriteString(strings.Repeat("x", 60000) + "end")
		os.Exit(0)
	case "loop":
		fmt.Println("looping")
		for {
			f.ticks++
		}
	case "hog":
		f.hog()
	case "grow":
		go func() {
			time.Sleep(10 * time.Millisecond)
			f.hog()
		}()
		return "soon", nil
	case "allocate":
		return len(bytes.Repeat([]byte("x"), number(event))), nil
	case "say":
		for n := range number(event) {
			fmt.Println("line", n)
		}
		fmt.Fprintln(os.Stderr, "raw to stderr")
		return "said", nil
	case "stream":
		return stream(event, chunk)
	case "facts":
		return facts(), nil
	case "read":
		return attempt(func() (any, error) { return read(text(event)) }), nil
	case "write":
		return attempt(func() (any, error) { return nil, write(event) }), nil
	case "listdir":
		return attempt(func() (any, error) { return list(text(event)) }), nil
	case "shell":
		out, err := exec.Command("/bin/sh", "-c", text(event)).Output()
		return string(out), err
	case "background":
		return background(number(event))
	case "breed":
		return breed(number(event)), nil
	case "serve":
		return serve(number(event))
	case "connect":
		return connect(number(event)), nil
	case "kill":
		return attempt(func() (any, error) { return nil, syscall.Kill(number(event), syscall.SIGKILL) }), nil
	case "tick":
		return f.tick(text(event)), nil
	case "sockets":
		return sockets(), nil
	case "forbidden":
		return forbidden(), nil
	}
	return nil, fmt.Errorf("no function %q", f.name)
}

func number(event json.RawMessage) int {
	n, _ := strconv.Atoi(string(event)) // null is 0
	return n
}

func text(event json.RawMessage) string {
	var s string
	_ = json.Unmarshal(event, &s) // null is ""
	return s
}

// tried is what came of something tried.
type tried struct {
	Value any    `json:"value"`
	Error string `json:"error,omitempty"`
	Text  string `json:"text,omitempty"`
}

func attempt(action func() (any, error)) tried {
	value, err := action()
	if err != nil {
		return tried{Error: fmt.Sprintf("%T", err), Text: err.Error()}
	}
	return tried{Value: value}
}

// hog fills memory until the end.
func (f *functions) hog() {
	for {
		f.kept = append(f.kept, bytes.Repeat([]byte("x"), 1<<20))
	}
}

func stream(event json.RawMessage, chunk func(text string) error) ([]string, error) {
	var wanted struct{ Items, Size int }
	if err := json.Unmarshal(event, &wanted); err != nil {
		return nil, err
	}
	item := strings.Repeat("x", wanted.Size)
	if chunk == nil {
		return slices.Repeat([]string{item}, wanted.Items), nil
	}
	for range wanted.Items {
		if err := chunk(item); err != nil {
			return nil, err
		}
	}
	return nil, errStreamed
}

func facts() map[string]any {
	status := make(map[string]string)
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		status[key] = strings.TrimSpace(value)
	}
	files := make(map[string]string)
	found, _ := filepath.Glob("/proc/self/fd/*")
	for _, path := range found {
		files[filepath.Base(path)], _ = os.Readlink(path)
	}
	var processes []int
	found, _ = filepath.Glob("/proc/[0-9]*")
	for _, path := range found {
		pid, _ := strconv.Atoi(filepath.Base(path))
		processes = append(processes, pid)
	}
	groups, _ := os.Getgroups()
	directory, _ := os.Getwd()
	started, _ := os.ReadFile("/proc/self/environ")
	return map[string]any{
		"pid": os.Getpid(), "uid": os.Getuid(), "gid": os.Getgid(), "groups": groups, "status": status, "files": files,
		"environment": environment(os.Environ()), "started": environment(strings.Split(string(started), "\x00")),
		"processes": processes, "directory": directory,
	}
}

func environment(list []string) map[string]string {
	env := make(map[string]string)
	for _, e := range list {
		if name, value, ok := strings.Cut(e, "="); ok {
			env[name] = value
		}
	}
	return env
}

func read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	return string(b), err
}

func list(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func write(event json.RawMessage) error {
	wanted := struct {
		Path  string
		Bytes int
	}{Bytes: 1}
	if err := json.Unmarshal(event, &wanted); err != nil {
		return err
	}
	f, err := os.Create(wanted.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	for left := wanted.Bytes; left > 0; {
		n, err := f.Write(bytes.Repeat([]byte("x"), min(left, 1<<20)))
		if err != nil {
			return err
		}
		left -= n
	}
	return nil
}

// background leaves processes that hold on to stdout.
func background(n int) (int, error) {
	for range n {
		cmd := exec.Command("/bin/sleep", "1000")
		cmd.Stdout = os.Stdout
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// breed starts processes until no more can be.
func breed(n int) map[string]any {
	var children []*exec.Cmd
	defer func() {
		for _, child := range children {
			_ = child.Process.Kill()
			_ = child.Wait()
		}
	}()
	for range n {
		child := exec.Command("/bin/sleep", "1000")
		if err := child.Start(); err != nil {
			return map[string]any{"started": len(children), "error": err.Error()}
		}
		children = append(children, child)
	}
	return map[string]any{"started": len(children)}
}

// serve listens on every address and on an abstract name, for as long as the instance lives.
func serve(port int) (string, error) {
	if _, err := net.Listen("tcp", net.JoinHostPort("0.0.0.0", strconv.Itoa(port))); err != nil {
		return "", err
	}
	if _, err := net.Listen("unix", "@nimbus-suite"); err != nil {
		return "", err
	}
	_, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	return "listening", err
}

func connect(port int) map[string]tried {
	dial := func(network, address string) tried {
		return attempt(func() (any, error) {
			_, err := net.DialTimeout(network, address, time.Second)
			return nil, err
		})
	}
	return map[string]tried{"tcp": dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))), "abstract": dial("unix", "@nimbus-suite")}
}

// tick counts in the background; the event says whether to start or to read.
func (f *functions) tick(what string) int {
	if what == "start" {
		go func() {
			for range time.Tick(time.Millisecond) {
				f.ticks++
			}
		}()
	}
	return f.ticks
}

// sockets tries sockets and pairs of every family, and returns those that the kernel knows.
func sockets() []string {
	found := make(map[string]bool)
	for family := range 46 {
		for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_RAW, unix.SOCK_SEQPACKET} {
			if _, err := unix.Socket(family, kind, 0); !errors.Is(err, unix.EAFNOSUPPORT) {
				found["socket of family "+strconv.Itoa(family)] = true
			}
			if _, err := unix.Socketpair(family, kind, 0); !errors.Is(err, unix.EAFNOSUPPORT) {
				found["pair of family "+strconv.Itoa(family)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// forbidden tries what the filter, Landlock and the missing rights forbid.
func forbidden() map[string]tried {
	results := make(map[string]tried)
	for what, do := range map[string]func() error{
		"mknod":       func() error { return unix.Mknod("/tmp/device", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) },
		"unshare":     func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
		"mount":       func() error { return unix.Mount("tmpfs", "/tmp", "tmpfs", 0, "") },
		"chroot":      func() error { return unix.Chroot("/tmp") },
		"setuid":      func() error { return unix.Setuid(0) },
		"ptrace":      func() error { return unix.PtraceSeize(1) },
		"sethostname": func() error { return unix.Sethostname([]byte("other")) },
		"io_uring": func() error {
			_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
			return errno
		},
		"clone of a namespace": func() error {
			cmd := exec.Command("/bin/true")
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
			return cmd.Run()
		},
	} {
		results[what] = attempt(func() (any, error) { return nil, do() })
	}
	return results
}
