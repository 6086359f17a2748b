//go:build linux && (amd64 || arm64)

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"nimbus/internal/agent"
	"nimbus/internal/wire"
)

const (
	socket = 3  // where an instance has the agent protocol
	gcRate = 50 // percent: an instance's memory is counted, and an idle agent's is little

	exitKilled = 128 + 9 // as a shell says it of a program that SIGKILL ended
)

// serve runs programs of a kind until the platform goes away. It never returns.
func serve(kind agent.Kind) {
	frugal()
	conn, err := wire.Inherited(socket)
	if err == nil {
		err = agent.Serve(conn, kind, agent.Config{})
	}
	leave(err)
}

// build compiles until the platform goes away. It never returns.
func build() {
	conn, err := wire.Inherited(socket)
	if err == nil {
		err = agent.Build(conn, agent.Config{})
	}
	leave(err)
}

// frugal has the process take little memory: it hands on bytes, one call at a time.
func frugal() {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(gcRate)
}

// leave ends the process. That the platform is gone is no failure.
func leave(err error) {
	switch {
	case err == nil, errors.Is(err, wire.ErrEnded):
		os.Exit(0)
	case errors.Is(err, agent.ErrKilled):
		os.Exit(exitKilled)
	}
	fmt.Fprintln(os.Stderr, "nimbus-agent:", err)
	os.Exit(1)
}
