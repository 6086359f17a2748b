package wasm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// cacheDir is where an engine keeps compiled code: a directory of its own, for wazero writes to it what it doesn't
// find, which a package can't take.
type cacheDir struct{ path string }

// newCacheDir makes one below parent.
func newCacheDir(parent string) (cacheDir, error) {
	path, err := os.MkdirTemp(parent, ".wasm-")
	if err != nil {
		return cacheDir{}, fmt.Errorf("make a directory for compiled modules: %w", err)
	}
	return cacheDir{path: path}, nil
}

// link shows the compiled code of a package, and returns how much there is. What another version of wazero has made
// is left out.
func (d cacheDir) link(compiled string) (int, error) {
	versions, err := os.ReadDir(d.path)
	if err != nil {
		return 0, err
	}
	linked := 0
	for _, version := range versions {
		from := filepath.Join(compiled, version.Name())
		entries, err := os.ReadDir(from)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return linked, err
		}
		for _, entry := range entries {
			if err := os.Symlink(filepath.Join(from, entry.Name()), filepath.Join(d.path, version.Name(), entry.Name())); err != nil {
				return linked, err
			}
			linked++
		}
	}
	return linked, nil
}

// made returns how much of what is there has been compiled here.
func (d cacheDir) made() (int, error) {
	entries, err := filepath.Glob(filepath.Join(d.path, "*", "*"))
	n := 0
	for _, entry := range entries {
		info, failed := os.Lstat(entry)
		err = errors.Join(err, failed)
		if failed == nil && info.Mode().IsRegular() {
			n++
		}
	}
	return n, err
}

// clear forgets what is there; the engine goes on.
func (d cacheDir) clear() error {
	entries, err := filepath.Glob(filepath.Join(d.path, "*", "*"))
	for _, entry := range entries {
		err = errors.Join(err, os.Remove(entry))
	}
	return err
}

func (d cacheDir) remove() error { return os.RemoveAll(d.path) }
