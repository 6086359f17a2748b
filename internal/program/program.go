// Package program holds the programs that run inside instances: nimbus-agent, which speaks the agent protocol
// for compiled functions, and nimbus-wasm, which runs WebAssembly. `make programs` builds them for embedding;
// the server unpacks them by content.
package program

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
)

// Set is where the programs are on this machine: absolute paths of static executables.
type Set struct {
	Agent string
	Wasm  string
}

// Unpack writes the embedded programs below dir, each in a directory named after its content, unless they are
// there already, and returns where. A binary that was built without them says how to get one that has them.
func Unpack(dir string) (Set, error) { return unpack(embedded, dir) }

func unpack(from fs.ReadFileFS, dir string) (Set, error) {
	var s Set
	for name, path := range map[string]*string{"nimbus-agent": &s.Agent, "nimbus-wasm": &s.Wasm} {
		contents, err := from.ReadFile("bin/linux-" + goruntime.GOARCH + "/" + name)
		if errors.Is(err, fs.ErrNotExist) {
			return Set{}, fmt.Errorf("this nimbus was built without its %s: build it with make build", name)
		}
		if err != nil {
			return Set{}, err
		}
		if *path, err = write(dir, name, contents); err != nil {
			return Set{}, fmt.Errorf("unpack %s: %w", name, err)
		}
	}
	return s, nil
}

// RemoveOthers removes the programs of other versions, which Unpack has left below dir.
func (s Set) RemoveOthers(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("remove old programs: %w", err)
	}
	mine := []string{filepath.Base(filepath.Dir(s.Agent)), filepath.Base(filepath.Dir(s.Wasm))}
	for _, e := range entries {
		if slices.Contains(mine, e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("remove old programs: %w", err)
		}
	}
	return nil
}

// write puts the file in place whole or not at all.
func write(dir, name string, contents []byte) (string, error) {
	sum := sha256.Sum256(contents)
	dir, err := filepath.Abs(filepath.Join(dir, hex.EncodeToString(sum[:8])))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	if have, err := os.ReadFile(path); err == nil && sha256.Sum256(have) == sum {
		return path, nil
	}
	f, err := os.CreateTemp(dir, "."+name+"-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(contents)
	err = errors.Join(err, f.Chmod(0o755), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return path, nil
}
