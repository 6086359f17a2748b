// Package runtime knows how languages are started: which interpreters and toolchains this machine has, what a
// language needs from its environment, and the bootstraps that run inside an instance and speak the agent
// protocol (internal/wire) on behalf of the user's handler.
package runtime

import (
	"regexp"
	"slices"
	"strings"
)

// Language is a family of runtimes that share a bootstrap.
type Language string

// The languages.
const (
	Python Language = "python"
	Node   Language = "node"
	Go     Language = "go"     // a compiled program, run by the agent: JSON from stdin to stdout, or the Lambda Runtime API
	Wasm   Language = "wasm"   // a WebAssembly module, run by the wasm worker
	Custom Language = "custom" // a bootstrap, run by the agent: the Lambda Runtime API
)

// Runtime is one way to start a language, as found on this machine.
type Runtime struct {
	Name           string // python3.11, nodejs20, go1.26, wasm, custom
	Language       Language
	Version        string   // 3.11.2; of Go, the toolchain's; of what Nimbus brings itself, its own
	Path           string   // the program that an instance executes: the real interpreter, never a shim, or one of program.Set
	Trees          []string // directories of the host it needs beside the system's, shown at the same path
	DefaultHandler string   // handler.handle
	Aliases        []string // python3, nodejs, go: on the newest
}

// Serves reports whether versions that were deployed with the named runtime run on this one. A compiled Go program
// needs no toolchain, so it goes on running when the machine's is another or gone.
func (r Runtime) Serves(name string) bool {
	return r.Name == name || slices.Contains(r.Aliases, name) || r.Language == Go && goName.MatchString(name)
}

// goName is what a release of Go is called as a runtime.
var goName = regexp.MustCompile(`^go1(\.\d{1,3})?$`)

// compiles reports whether the machine's toolchain takes code that was written for the named release of Go. Where
// there is none, only programs compiled elsewhere are run, which may be of any.
func (r Runtime) compiles(name string) bool {
	if r.Language != Go || !goName.MatchString(name) {
		return false
	}
	wanted := strings.TrimPrefix(name, "go")
	return wanted != "1" && (r.Name == "go1" || compareVersions(wanted, strings.TrimPrefix(r.Name, "go")) <= 0)
}

// Toolchain compiles a language on this machine.
type Toolchain struct {
	Language Language
	Version  string   // 1.26.8
	Path     string   // /usr/local/go/bin/go
	Trees    []string // directories of the host it needs beside the system's: /opt/go1.26
}
