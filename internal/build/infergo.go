package build

import (
	"bytes"
	"fmt"
	gobuild "go/build"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"nimbus/internal/runtime"
)

// guessGo looks for a program to compile, at the top or alone below cmd, or for a compiled one at the top.
func guessGo(tree fs.FS) (guess, error) {
	g := guess{language: runtime.Go}
	switch dir, err := goPackage(tree, goBinary); {
	case err != nil:
		return g, err
	case dir != "":
		module, err := exportsHandle(tree, dir)
		g.handlers, g.weak = []string{goBinary}, module // a module has nothing to do as a program
		return g, err
	}
	commands, err := goCommands(tree)
	if err != nil {
		return g, err
	}
	if len(commands) > 0 {
		g.handlers = commands
		return g, nil
	}
	programs, err := topPrograms(tree)
	if err != nil {
		return g, err
	}
	for _, usual := range []string{goBinary, "handler"} {
		if slices.Contains(programs, usual) {
			g.handlers = []string{usual}
			return g, nil
		}
	}
	g.handlers, g.weak = programs, true
	if name, err := topPackage(tree); name != "" || err != nil {
		g.missing = fmt.Sprintf("the Go files are package %s; a function is package main, with a func main", name)
		return g, err
	}
	return g, nil
}

// goPackage returns the directory of the program that a handler of go or wasm is compiled from: its own, that
// below cmd, else the top, where what has a usual name is first. "" = there is none.
func goPackage(tree fs.FS, handler string) (string, error) {
	name := strings.TrimSuffix(handler, wasmSuffix)
	places := []string{name, path.Join("cmd", name), "."}
	if name == goBinary || name == "handler" {
		places = []string{".", name, path.Join("cmd", name)}
	}
	for _, dir := range places {
		if !fs.ValidPath(dir) {
			continue
		}
		if name, err := packageIn(tree, dir); name == "main" || err != nil {
			return dir, err
		}
	}
	return "", nil
}

// goCommands returns the programs below cmd.
func goCommands(tree fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(tree, "cmd")
	if err != nil {
		if isAbsent(err) {
			return nil, nil
		}
		return nil, err
	}
	var found []string
	for _, e := range entries {
		if !e.IsDir() || !ValidHandler(runtime.Go, e.Name()) {
			continue
		}
		name, err := packageIn(tree, path.Join("cmd", e.Name()))
		if err != nil {
			return nil, err
		}
		if name == "main" {
			found = append(found, e.Name())
		}
	}
	return found, nil
}

// topPackage returns the name of the package at the top.
func topPackage(tree fs.FS) (string, error) { return packageIn(tree, ".") }

// packageIn returns the name of the Go package in a directory: main, where any file says so; "" = none. Files
// that a build leaves out don't count, be it for Linux or for wasm.
func packageIn(tree fs.FS, dir string) (string, error) {
	entries, err := fs.ReadDir(tree, dir)
	if err != nil {
		if isAbsent(err) || !isDir(tree, dir) {
			return "", nil
		}
		return "", err
	}
	found := ""
	for _, e := range entries {
		if e.IsDir() || path.Ext(e.Name()) != ".go" || strings.HasSuffix(e.Name(), "_test.go") || !compiled(tree, dir, e.Name()) {
			continue
		}
		src, err := readStart(tree, path.Join(dir, e.Name()))
		if err != nil {
			return "", err
		}
		name := goPackageName(src)
		if name == "main" {
			return name, nil
		}
		found = max(found, name)
	}
	return found, nil
}

func isDir(tree fs.FS, name string) bool {
	st, err := fs.Stat(tree, name)
	return err == nil && st.IsDir()
}

// compiled reports whether a build for Linux or for WASI takes the file in, by its name and its //go:build line.
func compiled(tree fs.FS, dir, name string) bool {
	for _, target := range [][2]string{{"linux", machine()}, {"wasip1", "wasm"}} {
		c := gobuild.Context{GOOS: target[0], GOARCH: target[1], Compiler: "gc", ReleaseTags: gobuild.Default.ReleaseTags,
			JoinPath: path.Join,
			OpenFile: func(name string) (io.ReadCloser, error) { return openStart(tree, name) }}
		// A file that can't be read so far is the compiler's to complain about.
		if match, err := c.MatchFile(dir, name); match || err != nil {
			return true
		}
	}
	return false
}

// openStart opens a file that ends where looking at it does.
func openStart(tree fs.FS, name string) (io.ReadCloser, error) {
	f, err := tree.Open(name)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(f, maxScan), f}, nil
}

// goPackageName returns the package that a Go file says it belongs to, "" when it is no Go.
func goPackageName(src []byte) string {
	f, err := parser.ParseFile(token.NewFileSet(), "", src, parser.PackageClauseOnly)
	if err != nil || f.Name == nil {
		return ""
	}
	return f.Name.Name
}

// topPrograms returns the executables at the top that are compiled, except a bootstrap.
func topPrograms(tree fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(tree, ".")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || name == bootstrap || isCode(name) || strings.Contains(name, ".so") || !ValidHandler(runtime.Go, name) {
			continue
		}
		start, err := readHead(tree, name, len(elfMagic))
		if err != nil {
			if isAbsent(err) {
				continue // a link to nothing
			}
			return nil, err
		}
		if bytes.Equal(start, []byte(elfMagic)) {
			found = append(found, name)
		}
	}
	return found, nil
}
