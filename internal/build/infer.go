package build

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"nimbus"
	"nimbus/internal/runtime"
)

// maxScan bounds how much of one file is looked at.
const maxScan = nimbus.MiB

// entryModules are the files that people put handlers into, and entryNames what they call them: the common
// conventions of function platforms.
func entryModules() []string {
	return []string{"handler", "main", "lambda_function", "app", "index", "function", "func"}
}

func entryNames() []string { return []string{"handle", "handler", "lambda_handler"} }

// weakName is an entry only where there is no better one: scripts have it too.
const weakName = "main"

// Infer finds the language and the handler of a tree whose user named none: handler.handle if that is there,
// else the one function with a handler's name among the Python files at the top. When none or several
// qualify the error is CodeInvalid, names the candidates and the field to set.
func Infer(tree fs.FS) (runtime.Language, string, error) {
	modules, err := topModules(tree)
	if err != nil {
		return "", "", err
	}
	if len(modules) == 0 {
		return "", "", noModules(tree)
	}
	if modules["handler"].binds("handle") {
		return runtime.Python, "handler.handle", nil
	}
	for _, found := range guesses(modules) {
		switch len(found) {
		case 0:
		case 1:
			return runtime.Python, found[0], nil
		default:
			return "", "", inferError("several could be meant: %s; choose one", strings.Join(found, ", "))
		}
	}
	files := make([]string, 0, len(modules))
	for name := range modules {
		files = append(files, name+".py")
	}
	slices.Sort(files)
	return "", "", inferError("no function named %s or %s was found in %s; name yours as module.function",
		strings.Join(entryNames(), ", "), weakName, strings.Join(files[:min(10, len(files))], ", "))
}

// guesses returns sets of candidates; the first that is not empty decides.
func guesses(modules map[string]module) [][]string {
	known := make(map[string]module)
	for _, name := range entryModules() {
		if m, there := modules[name]; there {
			known[name] = m
		}
	}
	function := func(m module, name string) bool { return slices.Contains(m.functions, name) }
	main := []string{weakName}
	return [][]string{
		candidates(known, entryNames(), function),
		candidates(modules, entryNames(), function),
		candidates(known, main, function),
		candidates(modules, main, function),
		// Last, because a logger's "handler = …" is no handler.
		candidates(known, entryNames(), module.binds),
		candidates(modules, entryNames(), module.binds),
	}
}

// candidates returns module.name for every module that has one of the names, sorted.
func candidates(modules map[string]module, names []string, has func(module, string) bool) []string {
	var found []string
	for file, m := range modules {
		for _, name := range names {
			if has(m, name) {
				found = append(found, file+"."+name)
			}
		}
	}
	slices.Sort(found)
	return found
}

// topModules returns the Python modules at the top of the tree with the names each binds. Files that only
// tests and installers read are left out.
func topModules(tree fs.FS) (map[string]module, error) {
	entries, err := fs.ReadDir(tree, ".")
	if err != nil {
		return nil, fmt.Errorf("infer handler: %w", err)
	}
	modules := make(map[string]module)
	for _, e := range entries {
		name, isPython := strings.CutSuffix(e.Name(), ".py")
		if e.IsDir() || !isPython || !ValidHandler(name+".handle") || isAuxiliary(name) {
			continue
		}
		src, err := readStart(tree, e.Name())
		if err != nil {
			return nil, fmt.Errorf("infer handler: %w", err)
		}
		modules[name] = scanModule(src)
	}
	return modules, nil
}

func isAuxiliary(name string) bool {
	return slices.Contains([]string{"__init__", "__main__", "setup", "conftest"}, name) ||
		strings.HasPrefix(name, "test_") || strings.HasSuffix(name, "_test")
}

func readStart(tree fs.FS, name string) ([]byte, error) {
	f, err := tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxScan))
}

// noModules says what is wrong with a tree without Python at its top, and guesses why.
func noModules(tree fs.FS) error {
	entries, err := fs.ReadDir(tree, ".")
	if err != nil {
		return fmt.Errorf("infer handler: %w", err)
	}
	if len(entries) == 1 && entries[0].IsDir() {
		dir := entries[0].Name()
		return inferError("there is no .py file at the top of the package, all is in %s: "+
			"pack what is inside that directory, or name the handler as %s", dir, path.Join(dir, "module.function"))
	}
	return inferError("there is no .py file at the top of the package; name the handler as directory/module.function")
}

func inferError(format string, args ...any) error {
	var v nimbus.Invalid
	v.Add("handler", "can't be inferred: "+format, args...)
	return v.Err()
}
