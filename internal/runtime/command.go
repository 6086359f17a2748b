package runtime

import (
	"fmt"
	"path/filepath"
	"strconv"

	"nimbus/internal/runtime/node"
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
	Files     map[string]string // goes into Dir, by name: what a bootstrap consists of
	Program   string            // a program of the host that is shown in Dir; "" = Argv[0] is where it is on the host
	Argv      []string
	Env       []string
	Bootstrap string // the module that a zygote of the interpreter loads once and forks; "" = Argv is executed each time
}

// Command returns how the runtime is started.
func (r Runtime) Command() (Command, error) {
	switch r.Language {
	case Python:
		// -I and -S: nothing of the host's environment, user or site packages.
		const bootstrap = Dir + "/" + pythonFile
		return Command{Files: map[string]string{pythonFile: string(python.Bootstrap())}, Bootstrap: bootstrap,
			Argv: []string{r.Path, "-I", "-S", bootstrap, "--fd", strconv.Itoa(Socket)}, Env: baseEnv()}, nil
	case Node:
		const bootstrap = Dir + "/" + nodeFile
		argv := append([]string{r.Path}, node.Flags()...)
		return Command{Files: map[string]string{nodeFile: string(node.Bootstrap())},
			Argv: append(argv, bootstrap, strconv.Itoa(Socket)), Env: baseEnv()}, nil
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

// The names of bootstraps in Dir.
const (
	pythonFile = "bootstrap.py"
	nodeFile   = "bootstrap.cjs"
)

// brought is the command of a program of Nimbus's own.
func (r Runtime) brought(arguments ...string) Command {
	return Command{Program: r.Path, Argv: append([]string{Dir + "/" + filepath.Base(r.Path)}, arguments...), Env: baseEnv()}
}

// baseEnv is the environment of every instance before it is a function's. The host's stays outside.
func baseEnv() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "TMPDIR=/tmp", "LANG=C.UTF-8"}
}
