// Command nimbus is the whole platform in one binary: the server and every verb that talks to it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// sandboxInit comes first: the binary is also re-executed as a process of an instance, and what it becomes
// then must not run anything of the command line. It returns only when this is an ordinary start.
func main() {
	sandboxInit()
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal must end a verb that ignores the first.
	defer context.AfterFunc(ctx, stop)()
	return execute(ctx, &cli{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}, os.Args[1:])
}
