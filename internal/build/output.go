package build

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"nimbus"
	"nimbus/internal/wasm/compilemsg"
)

// wasmCacheDir is where the wasm worker finds compiled code. Nothing of a user's gets there.
const wasmCacheDir = compilemsg.CacheDir

// output is the tree of a package that is being put together from files on the disk.
type output struct{ tree *tree }

func newOutput() *output { return &output{&tree{byName: make(map[string]*node)}} }

// addSource adds what a user gave; of Go source the program reads the rest at run time: templates, data.
func (o *output) addSource(dir string, goSource bool) error {
	return o.walk(dir, func(name string, e fs.DirEntry) (string, error) {
		top, _, _ := strings.Cut(name, "/")
		switch {
		case top == ".nimbus", goSource && e.IsDir() && isVendor(filepath.Join(dir, filepath.FromSlash(name))):
			return "", skip(e)
		case goSource && !e.IsDir() && isGoSource(path.Base(name)):
			return "", nil
		}
		return name, nil
	})
}

// addDir adds the files of a directory below a path of the package.
func (o *output) addDir(dir, below string) error {
	return o.walk(dir, func(name string, _ fs.DirEntry) (string, error) { return path.Join(below, name), nil })
}

// addProgram adds the compiled program, in the place of the directory that its source was in.
func (o *output) addProgram(name, file string) error {
	if o.tree.byName[name] != nil {
		return fail("the package has %q besides the source of the program of that name: rename either", name)
	}
	st, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("put a package together: %w", err)
	}
	return o.add(&node{name: name, mode: execMode, size: st.Size(), open: opener(file)})
}

// walk adds what lies below dir under the name that place gives it; "" = not at all. Of directories only those
// that hold something are in a package.
func (o *output) walk(dir string, place func(name string, e fs.DirEntry) (string, error)) error {
	return filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		if err != nil || file == dir {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		name, err := place(filepath.ToSlash(rel), e)
		if name == "" || err != nil || e.IsDir() {
			return err
		}
		n, err := nodeOf(name, file)
		if err != nil {
			return err
		}
		return o.add(n)
	})
}

func (o *output) add(n *node) error {
	for dir := path.Dir(n.name); dir != "."; dir = path.Dir(dir) {
		switch parent := o.tree.byName[dir]; {
		case parent == nil:
			o.tree.byName[dir] = &node{name: dir, mode: dirMode}
		case !parent.isDir():
			return fail("the package has the file %q where the compiled program needs a directory", dir)
		}
	}
	o.tree.byName[n.name] = n
	return nil
}

// finish checks the whole. Links to what was left out are left out too.
func (o *output) finish(limits nimbus.Limits) (*tree, error) {
	var total int64
	for name, n := range o.tree.byName {
		total += n.size
		steps := maxSteps
		if !n.isLink() {
			continue
		}
		if target, err := o.tree.resolve(name, &steps); err != nil || target != "." && o.tree.byName[target] == nil {
			delete(o.tree.byName, name)
		}
	}
	if total > limits.Unpacked {
		return nil, fail("the compiled package is over its bound of %d bytes", limits.Unpacked)
	}
	o.tree.seal()
	return o.tree, nil
}

// keep stores and unpacks a compiled package.
func (b *Builder) keep(ctx context.Context, out *output) (nimbus.Package, error) {
	t, err := out.finish(b.cfg.Limits)
	if err != nil {
		return nimbus.Package{}, err
	}
	if err := b.gate.Acquire(ctx, 1); err != nil {
		return nimbus.Package{}, err
	}
	defer b.gate.Release(1)
	pkg, err := b.store(ctx, t)
	if err != nil {
		return nimbus.Package{}, err
	}
	_, err = b.cache.Dir(ctx, pkg)
	return pkg, err
}

// nodeOf describes a file or link on the disk.
func nodeOf(name, file string) (*node, error) {
	st, err := os.Lstat(file)
	if err != nil {
		return nil, err
	}
	n := &node{name: name, mode: fileMode, size: st.Size(), open: opener(file)}
	switch {
	case st.Mode()&fs.ModeSymlink != 0:
		n.mode, n.size = linkMode, 0
		n.target, err = os.Readlink(file)
	case !st.Mode().IsRegular():
		err = fmt.Errorf("%s is neither file nor link", name)
	case st.Mode()&0o111 != 0:
		n.mode = execMode
	}
	return n, err
}

func opener(file string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return os.Open(file) }
}

func isGoSource(base string) bool {
	return path.Ext(base) == ".go" || slices.Contains([]string{"go.mod", "go.sum", "go.work", "go.work.sum"}, base)
}

// isVendor reports whether a directory holds vendored modules.
func isVendor(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "modules.txt"))
	return err == nil && filepath.Base(dir) == "vendor"
}

func skip(e fs.DirEntry) error {
	if e.IsDir() {
		return fs.SkipDir
	}
	return nil
}
