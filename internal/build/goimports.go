package build

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"go/parser"
	"go/token"
	"hash"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// imports is what the Go files of a module import.
type imports struct {
	where map[string]string // by import path, file:line:column of one import of it
	cgo   string            // where the program's own package asks for C
	heads hash.Hash         // of where each file is, and what it says before its code: which imports count is in both
}

// scope says which files of a module are looked at.
type scope uint8

const (
	own      scope = iota // its own
	vendored              // those of vendored modules too
)

// scanImports reads the imports of every Go file below the program's module that a build may take in. Files that
// can't be parsed are the compiler's to complain about.
func scanImports(tree fs.FS, p goProgram, what scope) (imports, error) {
	seen := imports{where: make(map[string]string), heads: sha256.New()}
	err := fs.WalkDir(tree, p.root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		switch {
		case e.IsDir() && name != p.root && (base == "vendor" && what == own || base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")):
			return fs.SkipDir
		case base == "go.mod":
			seen.note(name, nil) // what is below is another module's
			return nil
		case e.IsDir() || path.Ext(base) != ".go" || strings.HasSuffix(base, "_test.go"):
			return nil
		}
		src, err := readStart(tree, name)
		if err != nil {
			if isAbsent(err) {
				return nil // a link to nothing
			}
			return err
		}
		seen.add(name, src, path.Dir(name) == p.dir && what == own)
		return nil
	})
	if err != nil {
		return imports{}, fmt.Errorf("read imports: %w", err)
	}
	return seen, nil
}

func (i *imports) add(name string, src []byte, main bool) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, src, parser.ImportsOnly)
	if err != nil {
		i.note(name, src)
		return
	}
	i.note(name, src[:set.Position(f.End()).Offset])
	for _, spec := range f.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		at := set.Position(spec.Path.Pos()).String()
		if imported == "C" && main && i.cgo == "" && !mentionsCgo(src) {
			i.cgo = at
		}
		if first, known := i.where[imported]; !known || at < first {
			i.where[imported] = at
		}
	}
}

// note adds a file to the heads.
func (i *imports) note(name string, head []byte) {
	fmt.Fprintf(i.heads, "%q %q\n", name, head) // a hash takes everything
}

// mentionsCgo reports whether a file is built only with cgo, or only without, by its own words.
func mentionsCgo(src []byte) bool {
	for line := range bytes.Lines(src) {
		if bytes.HasPrefix(line, []byte("//go:build ")) && bytes.Contains(line, []byte("cgo")) {
			return true
		}
	}
	return false
}

// paths returns what is imported, sorted.
func (i *imports) paths() []string {
	all := make([]string, 0, len(i.where))
	for name := range i.where {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// firstForeign returns an import that only a module can provide: its path begins with a host's name.
func (i *imports) firstForeign() (at, name string) {
	for _, name := range i.paths() {
		host, _, _ := strings.Cut(name, "/")
		if strings.Contains(host, ".") && host != "." && host != ".." {
			return i.where[name], name
		}
	}
	return "", ""
}

// locate gives what a go command says about an import, without its place, the place.
func (i *imports) locate(said string) string {
	for _, name := range i.paths() {
		if _, what, found := strings.Cut(said, "\t"+name+": "); found {
			return i.where[name] + ": " + what
		}
	}
	return said
}
