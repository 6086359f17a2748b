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
)

// inlineFile is the one file name that code given as text has on the server.
const inlineFile = "handler.py"

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
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var magic [4]byte
	n, err := io.ReadFull(f, magic[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return bytes.Equal(magic[:n], []byte("PK\x03\x04")) || bytes.Equal(magic[:n], []byte("PK\x05\x06")), nil
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

// attachFile sends one file. Its name is part of the handler's, so only a file named as inline code is on
// the server goes as text.
func attachFile(in *client.FunctionInput, path string) (func(), error) {
	info, err := statFile(path)
	if err != nil {
		return nil, err
	}
	if filepath.Base(path) == inlineFile && info.Size() <= maxInline {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if utf8.Valid(text) {
			code := string(text)
			in.Code = &code
			return func() {}, nil
		}
	}
	return attachSpooled(in, func(w io.Writer) error { return archiveFile(w, path) })
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
