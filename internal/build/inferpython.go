package build

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"nimbus/internal/runtime"
)

// entryModules are the files that people put handlers into, and entryNames what they call them: the common
// conventions of function platforms.
func entryModules() []string {
	return []string{"handler", "main", "lambda_function", "app", "index", "function", "func"}
}

func entryNames() []string { return []string{"handle", "handler", "lambda_handler"} }

// weakName is an entry only where there is no better one: scripts have it too.
const weakName = "main"

// guessPython looks for handler.handle, else for the one function with a handler's name among the Python files at
// the top.
func guessPython(tree fs.FS) (guess, error) {
	g := guess{language: runtime.Python}
	modules, err := topModules(tree)
	if err != nil || len(modules) == 0 {
		return g, err
	}
	if modules["handler"].binds("handle") {
		g.handlers = []string{"handler.handle"}
		return g, nil
	}
	for i, found := range guesses(modules) {
		if len(found) > 0 {
			g.handlers, g.weak = found, i >= sureGuesses
			return g, nil
		}
	}
	files := make([]string, 0, len(modules))
	for name := range modules {
		files = append(files, name+".py")
	}
	slices.Sort(files)
	g.missing = fmt.Sprintf("no function named %s or %s was found in %s; name yours as module.function",
		strings.Join(entryNames(), ", "), weakName, strings.Join(files[:min(10, len(files))], ", "))
	return g, nil
}

// sureGuesses is how many of the first guesses are by a handler's own name; any script may have the others.
const sureGuesses = 2

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
		return nil, err
	}
	modules := make(map[string]module)
	for _, e := range entries {
		name, isPython := strings.CutSuffix(e.Name(), ".py")
		if e.IsDir() || !isPython || !ValidHandler(runtime.Python, name+".handle") || isAuxiliary(name) {
			continue
		}
		src, err := readStart(tree, e.Name())
		if err != nil {
			return nil, err
		}
		modules[name] = scanModule(src)
	}
	return modules, nil
}

func isAuxiliary(name string) bool {
	return slices.Contains([]string{"__init__", "__main__", "setup", "conftest"}, name) ||
		strings.HasPrefix(name, "test_") || strings.HasSuffix(name, "_test")
}
