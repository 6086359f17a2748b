package build

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"nimbus/internal/blob"
)

// untar writes the files that an instance answered with below dir, which is empty. Nothing but files and
// directories is in such a tar, and nothing is written outside.
func untar(file, dir string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer discard(f)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer discard(root)
	for in := tar.NewReader(f); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read what was compiled: %w", err)
		}
		if err := untarEntry(root, header, in); err != nil {
			return fmt.Errorf("keep %q: %w", header.Name, blob.DiskError(err))
		}
	}
}

func untarEntry(root *os.Root, header *tar.Header, in io.Reader) error {
	name := path.Clean(header.Name)
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeReg:
	default:
		return fmt.Errorf("unexpected type %q", header.Typeflag)
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	out, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(sharedFile), out.Close())
}
