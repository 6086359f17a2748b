package build

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/klauspost/compress/zstd"

	"nimbus/internal/blob"
)

// Modes of an unpacked tree: any uid may read, nobody write.
const (
	sharedFile = fs.FileMode(0o444)
	sharedExec = fs.FileMode(0o555)
	sharedDir  = fs.FileMode(0o555)
)

// unpack writes the files of a canonical archive below dir, which exists and is empty, and reads r to its
// end, where its hash is compared. Nothing is written outside dir whatever the archive says. Once it has
// returned an error, dir is not to be used.
func unpack(ctx context.Context, r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	defer root.Close()
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window), zstd.WithDecoderLowmem(true))
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	defer z.Close()
	u := &unpacker{root: root, buf: make([]byte, 32<<10)}
	if err := u.entries(ctx, tar.NewReader(z)); err != nil {
		return err
	}
	// The archive may end before the blob does, and only its end tells whether it is intact.
	if _, err := io.Copy(io.Discard, z); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return u.finish()
}

type unpacker struct {
	root  *os.Root
	buf   []byte
	dirs  []string
	links []tar.Header
}

func (u *unpacker) entries(ctx context.Context, in *tar.Reader) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		name := path.Clean(header.Name)
		switch header.Typeflag {
		case tar.TypeDir:
			err = u.root.Mkdir(name, 0o700)
			u.dirs = append(u.dirs, name)
		case tar.TypeReg:
			err = u.file(name, header, in)
		case tar.TypeSymlink:
			// Made last, so that no file is written through one.
			u.links = append(u.links, tar.Header{Name: name, Linkname: header.Linkname})
		default:
			err = fmt.Errorf("unexpected type %q", header.Typeflag)
		}
		if err != nil {
			return fmt.Errorf("unpack %q: %w", name, blob.DiskError(err))
		}
	}
}

func (u *unpacker) file(name string, header *tar.Header, in io.Reader) error {
	mode := sharedFile
	if header.Mode&0o111 != 0 {
		mode = sharedExec
	}
	f, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(onlyWriter{f}, in, u.buf)
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// finish makes the links and seals the directories, the deepest first.
func (u *unpacker) finish() error {
	for _, link := range u.links {
		if err := u.root.Symlink(link.Linkname, link.Name); err != nil {
			return fmt.Errorf("unpack %q: %w", link.Name, blob.DiskError(err))
		}
	}
	for _, dir := range slices.Backward(u.dirs) {
		if err := u.root.Chmod(dir, sharedDir); err != nil {
			return fmt.Errorf("unpack %q: %w", dir, err)
		}
	}
	if err := u.root.Chmod(".", sharedDir); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return nil
}

// onlyWriter hides ReadFrom, with which io.CopyBuffer would leave its buffer unused.
type onlyWriter struct{ io.Writer }
