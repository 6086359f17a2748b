package build

import (
	"archive/tar"
	"context"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// window bounds the memory that packing and unpacking take.
const window = 1 << 20

// pack writes the canonical archive of a tree: a tar in name order, without times and owners, compressed by
// one thread, so that equal trees are equal bytes.
func pack(ctx context.Context, w io.Writer, t *tree) error {
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window))
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	out := tar.NewWriter(z)
	for _, n := range t.nodes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := packNode(out, n); err != nil {
			return fmt.Errorf("pack %q: %w", n.name, err)
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	return nil
}

func packNode(out *tar.Writer, n *node) error {
	header := &tar.Header{Name: n.name, Mode: int64(n.mode.Perm()), Size: n.size, Typeflag: tar.TypeReg}
	switch {
	case n.isDir():
		header.Typeflag, header.Name = tar.TypeDir, n.name+"/"
	case n.isLink():
		header.Typeflag, header.Linkname = tar.TypeSymlink, n.target
	}
	if err := out.WriteHeader(header); err != nil || header.Typeflag != tar.TypeReg {
		return err
	}
	r, err := n.open()
	if err != nil {
		return err
	}
	defer r.Close()
	copied, err := io.Copy(out, r)
	if err == nil && copied != n.size {
		err = refuse("%q is not of the size that the archive tells", n.name)
	}
	return err
}
