//go:build linux

package agent

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"nimbus/internal/wire"
)

// trimmed is when a build cache was last cleaned, which the go command does not do again within a day.
const trimmed = "trim.txt"

// linkCache makes a build cache of links to the entries of another, which is read only. "" is an empty one.
func linkCache(from, to string) error {
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(to, trimmed), fmt.Appendf(nil, "%d", time.Now().Unix()), 0o600); err != nil {
		return err
	}
	if from == "" {
		return nil
	}
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil || rel == "." || rel == trimmed {
			return err
		}
		if entry.IsDir() {
			return os.Mkdir(filepath.Join(to, rel), 0o755)
		}
		return os.Symlink(path, filepath.Join(to, rel))
	})
}

// sendCache streams a tar of the entries that this build has made.
func sendCache(dir string, call *wire.Call) error {
	out := bufio.NewWriterSize(&sink{call: call, kind: wire.KindBytes}, chunkSize)
	archive := tar.NewWriter(out)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || filepath.Dir(path) == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return addFile(archive, rel, path)
	})
	return errors.Join(err, archive.Close(), out.Flush())
}

func addFile(archive *tar.Writer, name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(archive, f)
	return err
}
