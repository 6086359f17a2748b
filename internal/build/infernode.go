package build

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"nimbus"
	"nimbus/internal/runtime"
)

// maxScripts bounds how much of all files at the top is looked at: what a package is made by rarely leaves more.
const maxScripts = 16 * nimbus.MiB

// nodeNames are what people call handlers for Node.
func nodeNames() []string { return []string{"handle", "handler"} }

// guessNode looks for an export with a handler's name: in handler.js, in what package.json calls main, in the
// usual files, in any file at the top.
func guessNode(tree fs.FS) (guess, error) {
	g := guess{language: runtime.Node}
	scripts, err := topScripts(tree)
	if err != nil {
		return g, err
	}
	main, err := packageMain(tree)
	if err != nil {
		return g, err
	}
	if main != "" && scripts[main] == nil && ValidHandler(runtime.Node, main+".handle") {
		if err := readScript(tree, main, scripts); err != nil {
			return g, err
		}
	}
	if len(scripts) == 0 {
		return g, nil
	}
	usual := slices.Concat([]string{"handler"}, entryModules())
	for _, among := range [][]string{{"handler"}, {main}, usual, sortedKeys(scripts)} {
		if g.handlers = exported(scripts, among); len(g.handlers) > 0 {
			return g, nil
		}
	}
	g.missing = fmt.Sprintf("no export named %s was found in %s; name yours as file.export", strings.Join(nodeNames(), " or "),
		strings.Join(sortedKeys(scripts)[:min(10, len(scripts))], ", "))
	return g, nil
}

// exported returns file.export of every one of the files that exports a handler. One file that has both names
// exports one handler twice.
func exported(scripts map[string]*script, files []string) []string {
	var found []string
	for _, file := range slices.Compact(slices.Sorted(slices.Values(files))) {
		s := scripts[file]
		if s == nil {
			continue
		}
		for _, name := range nodeNames() {
			if slices.Contains(s.exports, name) {
				found = append(found, file+"."+name)
				break
			}
		}
	}
	return found
}

// topScripts returns the files for Node at the top of the tree, by name without suffix.
func topScripts(tree fs.FS) (map[string]*script, error) {
	entries, err := fs.ReadDir(tree, ".")
	if err != nil {
		return nil, err
	}
	scripts := make(map[string]*script)
	left := maxScripts
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), path.Ext(e.Name()))
		if e.IsDir() || !isScript(e.Name()) || !ValidHandler(runtime.Node, name+".handle") || strings.HasSuffix(name, "_test") {
			continue
		}
		if scripts[name] != nil {
			continue // .js before .mjs before .cjs, as it is looked for
		}
		st, err := fs.Stat(tree, e.Name())
		if err != nil && !isAbsent(err) {
			return nil, err
		}
		if err != nil || left < min(st.Size(), maxScan) {
			continue
		}
		left -= min(st.Size(), maxScan)
		if err := readScript(tree, name, scripts); err != nil {
			return nil, err
		}
	}
	return scripts, nil
}

// readScript adds the file that has the name and a suffix of Node's, if there is one.
func readScript(tree fs.FS, name string, scripts map[string]*script) error {
	for _, suffix := range scriptSuffixes() {
		there, err := isFile(tree, name+suffix)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		src, err := readStart(tree, name+suffix)
		if err != nil {
			return err
		}
		s := scanScript(src)
		scripts[name] = &s
		return nil
	}
	return nil
}

// packageMain returns what package.json calls main, without its suffix; "" = nothing, or it can't be read,
// which Node will say better.
func packageMain(tree fs.FS) (string, error) {
	there, err := isFile(tree, "package.json")
	if err != nil || !there {
		return "", err
	}
	src, err := readStart(tree, "package.json")
	if err != nil {
		return "", err
	}
	var manifest struct {
		Main string `json:"main"`
	}
	if json.Unmarshal(src, &manifest) != nil || manifest.Main == "" {
		return "", nil
	}
	main := path.Clean(manifest.Main)
	if isScript(main) {
		main = strings.TrimSuffix(main, path.Ext(main))
	}
	return main, nil
}

func sortedKeys(scripts map[string]*script) []string {
	keys := make([]string, 0, len(scripts))
	for name := range scripts {
		keys = append(keys, name)
	}
	slices.Sort(keys)
	return keys
}
