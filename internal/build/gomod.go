package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"

	"nimbus"
	"nimbus/internal/blob"
)

// The values of go build's flag -mod.
const (
	modVendor   = "vendor"
	modReadOnly = "readonly"
)

// Bounds of what says which modules are needed.
const (
	maxGoMod = nimbus.MiB
	maxGoSum = 16 * nimbus.MiB
)

// goModules makes the module in dir, a copy of the program's, complete: afterwards it builds without a network. It
// returns how go build is to take it.
func (j *job) goModules(ctx context.Context, p goProgram, dir string) (mod string, err error) {
	seen, err := scanImports(j.source, p, own)
	if err != nil {
		return "", err
	}
	if seen.cgo != "" {
		return "", fail("%s: import \"C\": programs are built without cgo; use packages in pure Go", seen.cgo)
	}
	if !p.module {
		if at, name := seen.firstForeign(); name != "" {
			return "", fail("%s: the package %s is not in the standard library and there is no go.mod: "+
				"make one with go mod init function && go mod tidy", at, name)
		}
		return modReadOnly, writeNew(filepath.Join(dir, "go.mod"), []byte("module function\n\ngo "+j.plan.goTool.Version+"\n"))
	}
	name := path.Join(p.root, "go.mod")
	text, err := readWhole(j.source, name, maxGoMod)
	if err != nil {
		return "", err
	}
	file, err := modfile.Parse(name, text, nil)
	if err != nil {
		return "", &CompileError{Message: err.Error()}
	}
	local, err := checkReplace(file, p.root)
	if err != nil {
		return "", err
	}
	vendored, err := isFile(j.source, path.Join(p.root, "vendor", "modules.txt"))
	switch {
	case err != nil:
		return "", err
	case vendored:
		return modVendor, nil
	case len(file.Require) == 0:
		return modReadOnly, nil
	}
	fetched, err := j.modules(ctx, fetch{program: p, file: file, text: text, imports: seen, local: local})
	if err != nil {
		return "", err
	}
	return fetched.into(dir)
}

// readWhole reads a file of the user's that has to be read whole.
func readWhole(tree fs.FS, name string, bound int64) ([]byte, error) {
	st, err := fs.Stat(tree, name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	case st.Size() > bound:
		return nil, fail("%s is over its bound of %d bytes", name, bound)
	}
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return text, nil
}

// checkReplace refuses modules that are replaced by a directory outside the package; local says that some are by
// one inside.
func checkReplace(file *modfile.File, root string) (local bool, err error) {
	for _, r := range file.Replace {
		if r.New.Version != "" {
			continue
		}
		local = true
		to := path.Join(root, r.New.Path)
		if path.IsAbs(r.New.Path) || to == ".." || strings.HasPrefix(to, "../") {
			return false, fail("%s:%d: replace %s => %s: the directory is outside the package", file.Syntax.Name,
				r.Syntax.Start.Line, r.Old.Path, r.New.Path)
		}
	}
	return local, nil
}

// writeNew writes a file in the place of one that may be there, and that others share.
func writeNew(path string, text []byte) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("prepare a build: %w", err)
	}
	if err := os.WriteFile(path, text, 0o444); err != nil {
		return fmt.Errorf("prepare a build: %w", blob.DiskError(err))
	}
	return nil
}
