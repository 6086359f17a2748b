package build

import (
	"io/fs"
	"path"
	"slices"

	"nimbus/internal/runtime"
)

// guessWasm looks for a .wasm file at the top, else for Go source that exports the handle of a module. Packages of
// other languages have such files too, so only one by a usual name is sure.
func guessWasm(tree fs.FS) (guess, error) {
	g := guess{language: runtime.Wasm}
	entries, err := fs.ReadDir(tree, ".")
	if err != nil {
		return g, err
	}
	for _, e := range entries {
		if !e.IsDir() && path.Ext(e.Name()) == wasmSuffix && ValidHandler(runtime.Wasm, e.Name()) {
			g.handlers = append(g.handlers, e.Name())
		}
	}
	for _, usual := range []string{wasmBinary, "main.wasm"} {
		if slices.Contains(g.handlers, usual) {
			g.handlers = []string{usual}
			return g, nil
		}
	}
	if g.weak = len(g.handlers) > 0; g.weak {
		return g, nil
	}
	exports, err := exportsHandle(tree, ".")
	if exports {
		g.handlers = []string{"main.wasm"}
	}
	return g, err
}

// guessCustom looks for bootstrap at the top.
func guessCustom(tree fs.FS) (guess, error) {
	g := guess{language: runtime.Custom}
	there, err := isFile(tree, bootstrap)
	if there {
		g.handlers = []string{bootstrap}
	}
	return g, err
}
