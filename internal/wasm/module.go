package wasm

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// maxListed bounds how many names a refusal lists.
const maxListed = 20

// Module is compiled code that keeps a contract.
type Module struct {
	compiled wazero.CompiledModule
	contract contract
	minPages uint32
	files    bool // it may open files
	settings bool // and read its environment
}

// contract is a way to call modules.
type contract interface {
	instantiate(ctx context.Context, f *Function) (caller, error)
}

// Compile checks and compiles a module, or takes it from the cache. A *Failure is the module's.
func (e *Engine) Compile(ctx context.Context, binary []byte) (*Module, error) {
	compiled, err := e.compile(ctx, binary)
	if err != nil {
		return nil, err
	}
	m := &Module{compiled: compiled}
	if err := e.checkImports(m); err != nil {
		return nil, err
	}
	exports := compiled.ExportedFunctions()
	if m.contract, err = contractOf(exports); err != nil {
		return nil, err
	}
	memory, ok := compiled.ExportedMemories()["memory"]
	if !ok {
		return nil, invalid("the module does not export its memory, as “memory”")
	}
	m.minPages = memory.Min()
	return m, nil
}

// compile is wazero's compiler. It has been seen to be right about modules it refuses, but not about all that are
// made to break it.
func (e *Engine) compile(ctx context.Context, binary []byte) (compiled wazero.CompiledModule, err error) {
	if why := foreign(binary); why != "" {
		return nil, invalid("%s", why)
	}
	defer func() {
		if r := recover(); r != nil {
			err = invalid("the module can't be compiled: %v", r)
		}
	}()
	if compiled, err = e.runtime.CompileModule(ctx, binary); err != nil {
		return nil, invalid("the module can't be compiled: %v", err)
	}
	return compiled, nil
}

// checkImports refuses a module that wants what isn't there, all of it by name.
func (e *Engine) checkImports(m *Module) error {
	if len(m.compiled.ImportedMemories()) > 0 {
		return invalid("the module imports its memory; it has to have one of its own and export it")
	}
	var missing []string
	for _, f := range m.compiled.ImportedFunctions() {
		from, name, _ := f.Import()
		offered, ok := e.offered[from][name]
		switch {
		case !ok:
			missing = append(missing, from+"."+name)
		case signature(f) != signature(offered):
			missing = append(missing, fmt.Sprintf("%s.%s as %s, which is %s", from, name, signature(f), signature(offered)))
		}
		m.files = m.files || strings.HasPrefix(name, "path_") || strings.HasPrefix(name, "fd_prestat_")
		m.settings = m.settings || strings.HasPrefix(name, "environ_")
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return invalid("the module imports what isn't there: %s; there is WASI preview 1 (%s), and env with %s",
		list(slices.Compact(missing)), wasi_snapshot_preview1.ModuleName, list(slices.Sorted(maps.Keys(e.offered[assemblyScriptModule]))))
}

// contractOf tells by its exports how a module is called.
func contractOf(exports map[string]api.FunctionDefinition) (contract, error) {
	want := map[string]string{"alloc": "(i32) → i32", "handle": "(i32, i32) → i64", "_start": "() → ()", "_initialize": "() → ()"}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if have := exports[name]; have != nil && signature(have) != want[name] {
			return nil, invalid("the module exports %s as %s; it has to be %s", name, signature(have), want[name])
		}
	}
	alloc, handle, start, initialize := exports["alloc"], exports["handle"], exports["_start"], exports["_initialize"]
	switch {
	case alloc != nil && handle != nil && initialize != nil:
		return reactor{start: "_initialize"}, nil
	case alloc != nil && handle != nil && start != nil:
		return reactor{start: "_start"}, nil
	case alloc != nil && handle != nil:
		return reactor{}, nil
	case start != nil:
		return command{}, nil
	}
	exported := "no function"
	if len(exports) > 0 {
		exported = list(slices.Sorted(maps.Keys(exports)))
	}
	return nil, invalid("the module exports %s; it has to export alloc and handle, or _start as a WASI command does", exported)
}

// signature says what a function takes and returns.
func signature(f api.FunctionDefinition) string {
	types := func(of []api.ValueType) string {
		names := make([]string, len(of))
		for i, t := range of {
			names[i] = api.ValueTypeName(t)
		}
		return strings.Join(names, ", ")
	}
	results := types(f.ResultTypes())
	if len(f.ResultTypes()) != 1 {
		results = "(" + results + ")"
	}
	return "(" + types(f.ParamTypes()) + ") → " + results
}

func list(names []string) string {
	if more := len(names) - maxListed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), more)
	}
	return strings.Join(names, ", ")
}
