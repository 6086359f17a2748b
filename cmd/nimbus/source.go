package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"nimbus/client"
	"nimbus/internal/build"
)

// maxInline is what the server takes as text when nobody configured it; a longer file goes as a zip.
const maxInline = 512 << 10

// attach reads the code at path into in: a directory or a file is packed, a zip is sent as it is. The
// returned function removes what was made for it.
func attach(ctx context.Context, in *client.FunctionInput, path string) (release func(), err error) {
	info, err := stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return attachDir(ctx, in, path)
	}
	isZip, err := hasZipMagic(path)
	if err != nil {
		return nil, err
	}
	if isZip {
		return attachZip(in, path)
	}
	return attachFile(in, path)
}

// stat refuses what is neither a file nor a directory.
func stat(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s does not exist", path)
	case err != nil:
		return nil, err
	case !info.IsDir() && !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is neither a file nor a directory", path)
	}
	return info, nil
}

// statFile refuses all but files.
func statFile(path string) (fs.FileInfo, error) {
	info, err := stat(path)
	if err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a directory; give it with --dir", path)
	}
	return info, err
}

func hasZipMagic(path string) (bool, error) {
	start, err := readStart(path)
	return bytes.HasPrefix(start, []byte("PK\x03\x04")) || bytes.HasPrefix(start, []byte("PK\x05\x06")), err
}

func attachDir(ctx context.Context, in *client.FunctionInput, path string) (func(), error) {
	info, err := stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is no directory; give it with --file or --zip", path)
	}
	return attachSpooled(in, func(w io.Writer) error { return archiveDir(ctx, w, path) })
}

func attachZip(in *client.FunctionInput, path string) (func(), error) {
	info, err := statFile(path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	in.Archive, in.ArchiveSize = f, info.Size()
	return func() { f.Close() }, nil
}

// attachFile sends one file under the name that it has in a package. That is part of the handler's, so only a
// file that the server would name so goes as text.
func attachFile(in *client.FunctionInput, path string) (func(), error) {
	info, err := statFile(path)
	if err != nil {
		return nil, err
	}
	start, err := readStart(path)
	if err != nil {
		return nil, err
	}
	name := build.FileName(filepath.ToSlash(path), start)
	if info.Size() <= maxInline {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if code := string(text); utf8.Valid(text) && build.TextFile("", "", code) == name {
			in.Code = &code
			return func() {}, nil
		}
	}
	return attachSpooled(in, func(w io.Writer) error { return archiveFile(w, name, path) })
}

// readStart returns the bytes that tell what a file is.
func readStart(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	start := make([]byte, 16)
	n, err := io.ReadFull(f, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return start[:n], nil
}

// attachSpooled keeps what write writes in a temporary file, because its size must be known ahead.
func attachSpooled(in *client.FunctionInput, write func(io.Writer) error) (release func(), err error) {
	f, err := os.CreateTemp("", "nimbus-deploy-*.zip")
	if err != nil {
		return nil, err
	}
	remove := func() {
		f.Close()
		os.Remove(f.Name())
	}
	defer func() {
		if err != nil {
			remove()
		}
	}()
	if err := write(f); err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	in.Archive, in.ArchiveSize = f, size
	return remove, nil
}
