package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"nimbus/internal/agent/buildmsg"
	"nimbus/internal/blob"
	"nimbus/internal/runtime"
)

// The directory that a Go builder is given.
const (
	inputDir  = "in"
	sourceSub = "src"
	cacheSub  = "cache"
	// programFile is what comes of it, outside.
	programFile = "program"
)

// compileGo compiles the program that the handler names and returns where it is.
func (j *job) compileGo(ctx context.Context) (string, error) {
	p, err := j.goProgram()
	if err != nil {
		return "", err
	}
	src := j.path(inputDir, sourceSub)
	if err := linkTree(j.sourceDir, src); err != nil {
		return "", fmt.Errorf("prepare a build: %w", err)
	}
	module := filepath.Join(src, filepath.FromSlash(p.root))
	mod, err := j.goModules(ctx, p, module)
	if err != nil {
		return "", err
	}
	// As it is built: with what was fetched.
	imported, err := scanImports(os.DirFS(module), goProgram{root: "."}, vendored)
	if err != nil {
		return "", err
	}
	seed, err := j.seed(ctx, imported.paths())
	if err != nil {
		return "", err
	}
	if err := linkTree(seed, j.path(inputDir, cacheSub)); err != nil {
		return "", fmt.Errorf("prepare a build: %w", err)
	}
	request := buildmsg.Request{Go: j.plan.goTool.Path, Dir: path.Join(sourceSub, p.root), Package: p.relative(),
		GOOS: j.plan.goos, GOARCH: j.plan.goarch, Mod: mod, Cache: cacheSub}
	if p.reactor && j.plan.Runtime.Language == runtime.Wasm {
		request.BuildMode = "c-shared"
	}
	j.progress("compiling with go" + j.plan.goTool.Version)
	if err := j.askGo(ctx, j.path(inputDir), request, j.path(programFile), j.packages.cfg.Limits.Unpacked); err != nil {
		return "", err
	}
	return j.path(programFile), j.checkCompiled()
}

// askGo has a Go builder answer into a file.
func (j *job) askGo(ctx context.Context, dir string, request buildmsg.Request, file string, bound int64) error {
	rt := runtime.Runtime{Name: "build-go", Language: runtime.GoBuilder, Version: j.plan.goTool.Version,
		Path: j.cfg.Programs.Agent, Trees: j.plan.goTool.Trees}
	return j.askInto(ctx, rt, dir, request, file, bound)
}

// askInto asks, and keeps the answer, of so many bytes at most, in a file.
func (j *job) askInto(ctx context.Context, rt runtime.Runtime, dir string, request any, file string, bound int64) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("keep what %s makes: %w", rt.Name, blob.DiskError(err))
	}
	err = j.ask(ctx, rt, dir, request, &boundedWriter{w: f, left: bound})
	return errors.Join(err, blob.DiskError(f.Close()))
}

// checkCompiled looks at what the builder made as it would at what a user uploads.
func (j *job) checkCompiled() error {
	tree := os.DirFS(j.dir)
	head, err := readHead(tree, programFile, maxHead)
	if err != nil {
		return fmt.Errorf("look at the compiled program: %w", err)
	}
	if j.plan.goos == "linux" {
		if why := wrongELF(tree, head); why != "" || !bytes.HasPrefix(head, []byte(elfMagic)) {
			return fmt.Errorf("the compiled program %s", why)
		}
		return nil
	}
	return checkModule(tree, programFile)
}

// goProgram is the package that is compiled.
type goProgram struct {
	dir     string // from the top of the tree
	root    string // of its module: the nearest go.mod above it, else its own directory
	module  bool   // there is a go.mod
	reactor bool   // it exports a handle to WebAssembly
}

// relative is the package, from its module's root.
func (p goProgram) relative() string {
	if p.dir == p.root {
		return "."
	}
	return "./" + strings.TrimPrefix(strings.TrimPrefix(p.dir, p.root), "/")
}

// goProgram finds the package and looks at its files.
func (j *job) goProgram() (goProgram, error) {
	dir, err := goPackage(j.source, j.plan.Handler)
	if err != nil || dir == "" {
		return goProgram{}, errors.Join(err, fail("%s: there is no Go source (package main) for it", j.plan.Handler))
	}
	p := goProgram{dir: dir, root: dir}
	for at := dir; ; at = path.Dir(at) {
		if there, err := isFile(j.source, path.Join(at, "go.mod")); err != nil {
			return p, err
		} else if there {
			p.root, p.module = at, true
			break
		}
		if at == "." {
			break
		}
	}
	p.reactor, err = exportsHandle(j.source, dir)
	return p, err
}

// exportsHandle reports whether a Go package exports a function named handle to WebAssembly.
func exportsHandle(tree fs.FS, dir string) (bool, error) {
	entries, err := fs.ReadDir(tree, dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if e.IsDir() || path.Ext(e.Name()) != ".go" {
			continue
		}
		src, err := readStart(tree, path.Join(dir, e.Name()))
		if err != nil {
			return false, err
		}
		for line := range bytes.Lines(src) {
			if words := bytes.Fields(line); len(words) == 2 && string(words[0]) == "//go:wasmexport" && string(words[1]) == "handle" {
				return true, nil
			}
		}
	}
	return false, nil
}
