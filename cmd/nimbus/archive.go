package main

import (
	"archive/zip"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxArchiveInput bounds what is packed, so that `nimbus deploy /` ends soon. The server's own bound is
// lower and decides.
const maxArchiveInput = 1 << 30

// archiveDir writes a zip of the directory. Equal trees give equal bytes: names are sorted, times fixed,
// and of the permissions only "executable" is kept. Symbolic links stay links.
func archiveDir(ctx context.Context, w io.Writer, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	a := archiver{root: root, zip: zip.NewWriter(w), left: maxArchiveInput}
	if a.rules, err = readIgnore(root); err != nil {
		return err
	}
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err = cmp.Or(err, ctx.Err()); err != nil || name == "." {
			return err
		}
		return a.visit(name, entry)
	})
	if err != nil {
		return err
	}
	if a.entries == 0 {
		return fmt.Errorf("%s has no file to deploy", dir)
	}
	return a.zip.Close()
}

// archiveFile writes a zip that holds one file, under that name.
func archiveFile(w io.Writer, name, path string) error {
	a := archiver{zip: zip.NewWriter(w), left: maxArchiveInput}
	if err := a.addFile(name, path, os.Open); err != nil {
		return err
	}
	return a.zip.Close()
}

func readIgnore(root *os.Root) (ignoreRules, error) {
	rules, err := parseIgnore(strings.NewReader(ignoredByDefault))
	if err != nil {
		return nil, err
	}
	f, err := root.Open(ignoreFile)
	if errors.Is(err, fs.ErrNotExist) {
		return rules, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	own, err := parseIgnore(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ignoreFile, err)
	}
	return append(rules, own...), nil
}

type archiver struct {
	root    *os.Root
	rules   ignoreRules
	zip     *zip.Writer
	left    int64
	entries int
}

func (a *archiver) visit(name string, entry fs.DirEntry) (err error) {
	if a.rules.ignores(name, entry.IsDir()) {
		if entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	}
	switch kind := entry.Type(); {
	case kind.IsDir():
		return nil
	case kind.IsRegular():
		err = a.addFile(name, name, a.root.Open)
	case kind == fs.ModeSymlink:
		err = a.addLink(name)
	default:
		err = fmt.Errorf("%s is neither a file, a directory nor a link; remove it or name it in %s", name, ignoreFile)
	}
	a.entries++
	return err
}

func (a *archiver) addFile(name, path string, open func(string) (*os.File, error)) error {
	f, err := open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	w, err := a.create(name, mode)
	if err != nil {
		return err
	}
	n, err := io.Copy(w, io.LimitReader(f, a.left+1))
	a.left -= n
	if a.left < 0 {
		return fmt.Errorf("more than %d MB of files; leave some out with %s", maxArchiveInput>>20, ignoreFile)
	}
	return err
}

func (a *archiver) addLink(name string) error {
	target, err := a.root.Readlink(name)
	if err != nil {
		return err
	}
	w, err := a.create(name, fs.ModeSymlink|0o777)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, filepath.ToSlash(target))
	return err
}

func (a *archiver) create(name string, mode fs.FileMode) (io.Writer, error) {
	h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	h.SetMode(mode)
	return a.zip.CreateHeader(h)
}
