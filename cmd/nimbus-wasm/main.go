// Command nimbus-wasm runs a WebAssembly function inside an instance, or compiles one ahead. It is embedded in
// nimbus, which starts it with the agent protocol on descriptor 3; users never start it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"runtime/debug"

	"nimbus/internal/wasm"
	"nimbus/internal/wire"
)

const (
	socket = 3
	tmpDir = "/tmp"

	// compileFile is the mode of the process that compiles one module, and has no part in the protocol.
	compileFile = "compile-file"
)

func main() {
	err := errors.New("started by nimbus only")
	switch ctx := context.Background(); {
	case len(os.Args) == 2:
		err = run(ctx, os.Args[1])
	case len(os.Args) == 4 && os.Args[1] == compileFile:
		err = wasm.CompileFile(ctx, os.Args[2], os.Args[3])
	}
	if failure := (*wasm.Failure)(nil); errors.As(err, &failure) {
		fmt.Print(failure.Message)
		os.Exit(wasm.FailureStatus)
	}
	if err != nil && !errors.Is(err, wire.ErrEnded) {
		fmt.Fprintln(os.Stderr, "nimbus-wasm:", err)
		os.Exit(2)
	}
}

// run speaks the agent protocol.
func run(ctx context.Context, mode string) error {
	conn, err := wire.Inherited(socket)
	if err != nil {
		return err
	}
	switch mode {
	case "serve":
		// One call at a time, and what prepares the next runs when it has been answered.
		goruntime.GOMAXPROCS(1)
		worker, err := wasm.NewWorker(ctx, wasm.WorkerConfig{Stdout: os.Stdout, Stderr: os.Stderr, TmpDir: tmpDir,
			HeapLimit: func(bytes int64) { debug.SetMemoryLimit(bytes) }})
		if err != nil {
			return err
		}
		return wire.Serve(conn, wire.HelloMsg{Runtime: "wasm"}, worker)
	case "compile":
		return wire.Serve(conn, wire.HelloMsg{Runtime: "wasm-compiler"}, wasm.NewCompiler(tmpDir, "/proc/self/exe", compileFile))
	}
	return fmt.Errorf("mode %q is not known", mode)
}
