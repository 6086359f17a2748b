package build

import (
	"nimbus"
	"nimbus/internal/runtime"
)

// Request is source that has to be compiled before it can run.
type Request struct {
	Source  nimbus.Package
	Runtime runtime.Runtime
	Handler string
}

// Compiled is what came of a Request.
type Compiled struct {
	Package   nimbus.Package // what runs
	Handler   string         // of that package
	Toolchain string         // go1.26.8
}

// CompileError says that the source is at fault, in the compiler's words: file:line:column and what is wrong
// there.
type CompileError struct{ Message string }

// Error implements error.
func (e *CompileError) Error() string { return e.Message }
