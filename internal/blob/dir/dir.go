// Package dir keeps blobs as files of one directory. A blob is written to a temporary file, synced and
// renamed into place, so that it is there whole or not at all, whatever crashes. What is read is hashed
// again: content that rotted is never handed out as whole.
//
//	<root>/ab/cd/abcd…   a blob, by the first two bytes of its hash
//	<root>/tmp/          blobs being written; emptied by Open
package dir

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"nimbus"
	"nimbus/internal/blob"
)

const tmpName = "tmp"

// Store keeps blobs under one directory. It implements blob.Store.
type Store struct{ root string }

var _ blob.Store = (*Store)(nil)

// Open makes the directory if it is new, and removes what a crash left half written. The directory must be
// used by one process at a time.
func Open(path string) (*Store, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open blob directory: %w", err)
	}
	tmp := filepath.Join(root, tmpName)
	if err := os.RemoveAll(tmp); err != nil {
		return nil, fmt.Errorf("open blob directory: remove leftovers: %w", err)
	}
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, fmt.Errorf("open blob directory: %w", blob.DiskError(err))
	}
	return &Store{root: root}, nil
}

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, r io.Reader, max int64) (blob.Info, error) {
	tmp, err := os.CreateTemp(filepath.Join(s.root, tmpName), "put-")
	if err != nil {
		return blob.Info{}, fmt.Errorf("put blob: %w", blob.DiskError(err))
	}
	defer func() {
		// After the rename there is nothing of that name any more.
		_ = tmp.Close()
		_ = os.Remove(tmp.Name())
	}()
	hash, err := fill(ctx, tmp, r, max)
	if err != nil {
		return blob.Info{}, err
	}
	if err := tmp.Sync(); err != nil {
		return blob.Info{}, fmt.Errorf("put blob: %w", blob.DiskError(err))
	}
	if err := tmp.Close(); err != nil {
		return blob.Info{}, fmt.Errorf("put blob: %w", blob.DiskError(err))
	}
	// Renaming over a blob that is there renews its time, and heals it if it rotted.
	if err := s.install(tmp.Name(), hash); err != nil {
		return blob.Info{}, fmt.Errorf("put blob: %w", blob.DiskError(err))
	}
	return s.stat(hash)
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, hash string) (io.ReadCloser, blob.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, blob.Info{}, err
	}
	info, err := s.stat(hash)
	if err != nil {
		return nil, blob.Info{}, err
	}
	f, err := os.Open(s.path(hash))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, blob.Info{}, notFound(hash)
	}
	if err != nil {
		return nil, blob.Info{}, fmt.Errorf("open blob: %w", err)
	}
	return &verified{file: f, digest: sha256.New(), hash: hash}, info, nil
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, hash string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !isHash(hash) {
		return nil
	}
	path := s.path(hash)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete blob: %w", err)
	}
	return nil
}

// All implements blob.Store.
func (s *Store) All(ctx context.Context) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		err := filepath.WalkDir(s.root, func(path string, e fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist) && path != s.root:
				return nil // deleted meanwhile
			case err != nil:
				return err
			case ctx.Err() != nil:
				return ctx.Err()
			case e.IsDir() && path == filepath.Join(s.root, tmpName):
				return fs.SkipDir
			case e.IsDir() || !isHash(e.Name()):
				return nil
			}
			info, err := s.stat(e.Name())
			if nimbus.CodeOf(err) == nimbus.CodeNotFound {
				return nil
			}
			if err != nil {
				return err
			}
			if !yield(info, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(blob.Info{}, fmt.Errorf("list blobs: %w", err))
		}
	}
}

// install renames the file to its place and makes the rename durable.
func (s *Store) install(tmp, hash string) (err error) {
	parent := s.root
	var made []string
	defer func() {
		if err != nil {
			for _, dir := range slices.Backward(made) {
				_ = os.Remove(dir) // stays when another blob has come to it
			}
		}
	}()
	for _, part := range []string{hash[:2], hash[2:4]} {
		dir := filepath.Join(parent, part)
		switch err := os.Mkdir(dir, 0o700); {
		case err == nil:
			made = append(made, dir)
			if err := syncDir(parent); err != nil {
				return err
			}
		case !errors.Is(err, fs.ErrExist):
			return err
		}
		parent = dir
	}
	if err := os.Rename(tmp, s.path(hash)); err != nil {
		return err
	}
	return syncDir(parent)
}

func (s *Store) stat(hash string) (blob.Info, error) {
	if !isHash(hash) {
		return blob.Info{}, notFound(hash)
	}
	st, err := os.Stat(s.path(hash))
	if errors.Is(err, fs.ErrNotExist) {
		return blob.Info{}, notFound(hash)
	}
	if err != nil {
		return blob.Info{}, fmt.Errorf("stat blob: %w", err)
	}
	return blob.Info{Hash: hash, Size: st.Size(), StoredAt: st.ModTime().UTC()}, nil
}

func (s *Store) path(hash string) string {
	return filepath.Join(s.root, hash[:2], hash[2:4], hash)
}

// fill copies r to f, at most max bytes of it, and returns the hash of what was copied.
func fill(ctx context.Context, f *os.File, r io.Reader, max int64) (string, error) {
	digest := sha256.New()
	src := &source{ctx: ctx, r: io.LimitReader(r, max+1)}
	size, err := io.Copy(io.MultiWriter(f, digest), src)
	switch {
	case src.err != nil:
		return "", fmt.Errorf("put blob: read content: %w", src.err)
	case err != nil:
		return "", fmt.Errorf("put blob: %w", blob.DiskError(err))
	case size > max:
		return "", nimbus.Errorf(nimbus.CodeTooLarge, "the content is over its bound of %d bytes", max)
	}
	// The file's own time is from when it was made; StoredAt is from when it was whole.
	now := time.Now()
	if err := os.Chtimes(f.Name(), now, now); err != nil {
		return "", fmt.Errorf("put blob: %w", err)
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

// source tells an error of the reader from one of the disk, and stops when ctx does.
type source struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err = s.ctx.Err(); s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// isHash guards the file system: a hash becomes part of a path.
func isHash(s string) bool {
	return len(s) == 2*sha256.Size && strings.Trim(s, "0123456789abcdef") == ""
}

func notFound(hash string) error {
	return nimbus.Errorf(nimbus.CodeNotFound, "blob %q was not found", hash)
}
