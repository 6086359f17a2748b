//go:build linux

// Package agent is what nimbus-agent does inside an instance: it speaks the agent protocol for programs that
// don't. It is PID 1 there, starts the user's program, and gives it its events in one of two ways:
//
//   - on stdin, one process a call, whose stdout is the result. The next process is started ahead and waits
//     in its first read.
//   - through the Lambda Runtime API, which the agent serves on loopback: one process, kept for all calls.
//
// A program of the go runtime need not say which: it finds both, and what it does first decides. A bootstrap
// of the custom runtime has the Runtime API. A third mode compiles Go (Build).
package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"

	"nimbus/internal/wire"
)

// DefaultListen is the address of the Runtime API, as AWS has it. An instance has a network of its own.
const DefaultListen = "127.0.0.1:9001"

// Kind is what a program is to be.
type Kind uint8

// The kinds.
const (
	Go     Kind = iota // an ELF: stdin and stdout, or the Runtime API
	Custom             // an ELF or a script: the Runtime API
)

// Config is what the agent takes of the process it is in.
type Config struct {
	Listen string   // of the Runtime API; DefaultListen unless given
	Stdout *os.File // the log: what the program prints
	Stderr *os.File
}

// WithDefaults fills in what is not given.
func (c Config) WithDefaults() Config {
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Stdout == nil {
		c.Stdout = os.Stdout
	}
	if c.Stderr == nil {
		c.Stderr = os.Stderr
	}
	return c
}

// ErrKilled says that the kernel killed the user's program: most likely the instance is over its memory, and
// what is left of it is of no more use.
var ErrKilled = errors.New("the program was killed")

// Serve runs programs of a kind for the platform at the other end of conn, until that goes away, says stop
// (then it returns nil), or ErrKilled. Nothing that it started is left then. The process must have no other
// children.
func Serve(conn net.Conn, kind Kind, cfg Config) error {
	cfg = cfg.WithDefaults()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", cfg.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for the runtime API: %w", err), conn.Close())
	}
	api := newRuntimeAPI()
	server := &http.Server{Handler: api.routes()} //nolint:gosec // no time-outs: only the user's own program talks to it
	f := &function{
		kind: kind, config: cfg, conn: conn, api: api, address: listener.Addr().String(), children: newSupervisor(),
	}
	var owned sync.WaitGroup
	owned.Go(func() { _ = server.Serve(listener) }) // ends by Close
	owned.Go(f.children.run)
	err = wire.Serve(conn, wire.HelloMsg{Runtime: kind.String()}, f)
	if f.killed.Load() {
		err = ErrKilled
	}
	f.ahead.Wait()
	f.close()
	f.children.stop()
	_ = server.Close()
	owned.Wait()
	return err
}

// String is the language's name.
func (k Kind) String() string {
	if k == Custom {
		return "custom"
	}
	return "go"
}
