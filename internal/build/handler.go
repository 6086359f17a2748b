package build

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"nimbus"
	"nimbus/internal/runtime"
)

// FindHandler looks in a tree for what a valid handler of the language names: handler.py or handler/__init__.py;
// handler.js; an executable, or Go source that it is compiled from; a .wasm file; bootstrap. When it is not
// there the error is CodeInvalid, names the field "handler" and what there is; when it is there and can't be
// run on this machine, the field is "code".
func FindHandler(tree fs.FS, language runtime.Language, handler string) error {
	switch language {
	case runtime.Python, runtime.Node:
		return findModule(tree, language, handler)
	case runtime.Custom:
		handler = bootstrap
	}
	there, err := isFile(tree, handler)
	switch {
	case err != nil:
		return err
	case there && language == runtime.Wasm:
		return checkModule(tree, handler)
	case there:
		return checkProgram(tree, handler)
	case language == runtime.Custom:
		return missingHandler(tree, "a package of the runtime custom needs the file %s at its top", bootstrap)
	}
	dir, err := goPackage(tree, handler)
	if err != nil || dir != "" {
		return err
	}
	if language == runtime.Wasm {
		return missingHandler(tree, "%q is no file of the package, nor is there Go source to compile it from", handler)
	}
	return missingHandler(tree, "%q is no executable of the package, nor is there Go source (package main) to compile it from", handler)
}

// Toolchain is what a tree that has the handler would be compiled with now: Compiled.Toolchain. "" = nothing on this
// machine compiles it, or it needs no compiling.
func (c *Compiler) Toolchain(tree fs.FS, rt runtime.Runtime, handler string) string {
	prebuilt, err := isFile(tree, handler)
	if err != nil {
		return ""
	}
	p, err := c.plan(Request{Runtime: rt, Handler: handler}, prebuilt)
	if err != nil {
		return "" // Compile will say why
	}
	return p.toolchain()
}

func findModule(tree fs.FS, language runtime.Language, handler string) error {
	files := moduleFiles(language, handler)
	for _, file := range files {
		if there, err := isFile(tree, file); there || err != nil {
			return err
		}
	}
	last := 1 // of those that are worth a mention
	if language == runtime.Node {
		last = len(scriptSuffixes()) - 1
	}
	return missingHandler(tree, "%q needs the file %s or %s", handler, strings.Join(files[:last], ", "), files[last])
}

// missingHandler says what is missing and what is there instead.
func missingHandler(tree fs.FS, format string, args ...any) error {
	there, err := describe(tree)
	if err != nil {
		return err
	}
	var v nimbus.Invalid
	v.Add("handler", "%s; the package has %s", fmt.Sprintf(format, args...), there)
	return v.Err()
}

// isFile reports whether name is a file of the tree, or a link to one.
func isFile(tree fs.FS, name string) (bool, error) {
	st, err := fs.Stat(tree, name)
	switch {
	case err == nil:
		return st.Mode().IsRegular(), nil
	case isAbsent(err):
		return false, nil
	}
	return false, fmt.Errorf("look for handler: %w", err)
}

// isAbsent reports whether err says that there can be no such file: its name may be longer than the disk
// allows, lead through another file, or be none.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) || errors.Is(err, syscall.ENOTDIR) ||
		errors.Is(err, syscall.ENAMETOOLONG)
}

// describe lists some of what a user could have meant: the files that code is in, else whatever is at the top.
func describe(tree fs.FS) (string, error) {
	const most = 10
	var found, top []string
	more := false
	err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && e.Name() == "node_modules" {
			return fs.SkipDir
		}
		if name != "." && !strings.Contains(name, "/") {
			top = append(top, entryName(name, e))
		}
		if isCode(name) && !e.IsDir() {
			if len(found) == most {
				more = true
				return fs.SkipAll
			}
			found = append(found, name)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("list the package: %w", err)
	}
	if len(found) == 0 {
		found, more = top[:min(most, len(top))], len(top) > most
	}
	if more {
		found = append(found, "…")
	}
	return strings.Join(found, ", "), nil
}

func isCode(name string) bool {
	return isScript(name) || slices.Contains([]string{".py", ".go", wasmSuffix}, path.Ext(name)) || name == bootstrap
}

func entryName(name string, e fs.DirEntry) string {
	if e.IsDir() {
		return name + "/"
	}
	return name
}
