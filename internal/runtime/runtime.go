// Package runtime knows how languages are started: which interpreters this machine has, what a language
// needs from its environment, and the bootstraps that run inside an instance and speak the agent protocol
// (internal/wire) on behalf of the user's handler.
package runtime

// Language is a family of runtimes that share a bootstrap.
type Language string

// The languages.
const (
	Python Language = "python"
)

// Runtime is one way to start a language, as found on this machine.
type Runtime struct {
	Name           string // python3.11
	Language       Language
	Version        string   // 3.11.2
	Path           string   // the real interpreter, never a shim: /usr/bin/python3.11
	Prefix         string   // the tree it needs beside the system's: /usr, /opt/python
	DefaultHandler string   // handler.handle
	Aliases        []string // python3, on the newest
}
