// Package function holds the use cases of functions: create, update, get, list, delete, and works off the builds of
// code that has to be compiled. A change is atomic: the package is stored, compiled and unpacked first, then one
// transaction makes version N+1 and switches to it.
package function

import (
	"io"
	"time"

	"nimbus"
)

// Ref names a function: by id, or by name in a namespace ("" = the principal's default). Case matters not.
type Ref struct {
	Namespace string
	Function  string // id or name
}

// Input is what a user gives to create or change a function. Nil = unsaid: the default on create, unchanged
// on update.
type Input struct {
	Description    *string
	Runtime        *string // python3.11, python3, or "" = inferred from the code
	Handler        *string
	Code           *string           // the code as text; excludes Archive
	Archive        io.Reader         // a zip
	Binary         *io.SectionReader // one file that runs as it is: an ELF, a bootstrap, a .wasm
	MemoryMB       *int64
	TimeoutSec     *int64
	EnvVars        map[string]string // nil = unsaid, empty = none
	Tags           []string          // likewise
	MaxConcurrency *int
	MinInstances   *int
	// InstanceConcurrency above 1 is for runtimes that can.
	InstanceConcurrency *int
	IdleTimeout         *time.Duration
	CPUMilli            *int
	TmpMB               *int64
	Driver              *string
	Capture             *nimbus.Capture
	EventFormat         *nimbus.EventFormat
	Status              *nimbus.Status // active or inactive; update only
	Version             *int64         // update only: CodeConflict unless it is the newest
	Async               bool           // return at once when something has to be compiled, and not when that has ended
}

func (in *Input) hasCode() bool { return in.Code != nil || in.Archive != nil || in.Binary != nil }

// Query selects functions for List.
type Query struct {
	Namespace string // "" = the principal's default
	Name      string // prefix
	Tags      []string
	Runtime   string
	Status    nimbus.Status
	Page      nimbus.Page
}
