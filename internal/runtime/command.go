package runtime

import (
	"fmt"
	"path/filepath"

	"nimbus/internal/runtime/python"
)

// Dir is where an instance has what its runtime brings along.
const Dir = "/run/nimbus"

// Socket is the descriptor that a runtime's process has the agent protocol on; 1 and 2 are its log.
const Socket = 3

// What compiles runs in an instance too. No function has such a runtime.
const (
	GoBuilder    Language = "go-builder"    // the agent, running a Go toolchain
	WasmCompiler Language = "wasm-compiler" // the wasm worker, compiling ahead
)

// Command is how the process of an instance is started. Its paths are those inside.
type Command struct {
	Files   map[string]string // goes into Dir, by name: what a bootstrap consists of
	Program string            // a program of the host that is shown in Dir; "" = Argv[0] is where it is on the host
	Argv    []string
	Env     []string
	Forked  bool // a zygote that has the runtime loaded forks it; nothing is executed
}

// Command returns how the runtime is started.
func (r Runtime) Command() (Command, error) {
	switch r.Language {
	case Python:
		// -I and -S: nothing of the host's environment, user or site packages.
		return Command{Files: map[string]string{pythonFile: string(python.Bootstrap())}, Forked: true,
			Argv: []string{r.Path, "-I", "-S", Dir + "/" + pythonFile, "--fd", fmt.Sprint(Socket)}, Env: baseEnv()}, nil
	case Go, Custom:
		return r.brought("serve", string(r.Language)), nil
	case Wasm:
		return r.brought("serve"), nil
	case GoBuilder:
		return r.brought("build"), nil
	case WasmCompiler:
		return r.brought("compile"), nil
	}
	return Command{}, fmt.Errorf("runtime %s: nothing starts the language %q", r.Name, r.Language)
}

const pythonFile = "bootstrap.py"

// brought is the command of a program of Nimbus's own.
func (r Runtime) brought(arguments ...string) Command {
	return Command{Program: r.Path, Argv: append([]string{Dir + "/" + filepath.Base(r.Path)}, arguments...), Env: baseEnv()}
}

// baseEnv is the environment of every instance before it is a function's. The host's stays outside.
func baseEnv() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "TMPDIR=/tmp", "LANG=C.UTF-8"}
}
