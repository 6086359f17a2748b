package build

import (
	"io/fs"

	"nimbus/internal/runtime"
)

// Effort is what compiling takes. A Compiler has a lane for each, so that a module never waits for a program.
type Effort int

// The efforts, from none to minutes.
const (
	None  Effort = iota // it runs as it is
	Short               // a module to machine code: one at a time
	Long                // a program from source: CompilerConfig.Concurrency at a time
)

// Effort says what compiling takes before a tree that has the handler can run.
func (*Compiler) Effort(tree fs.FS, rt runtime.Runtime, handler string) Effort {
	there, err := isFile(tree, handler)
	switch {
	case rt.Language == runtime.Wasm && (there || err != nil):
		return Short
	case rt.Language == runtime.Wasm, rt.Language == runtime.Go && !there && err == nil:
		return Long
	}
	return None
}

// effort is what the plan takes, of the efforts above none.
func (p plan) effort() Effort {
	if p.fromGo {
		return Long
	}
	return Short
}
