// Package build turns source into packages: it reads an uploaded zip or inline text, refuses what is
// hostile, and stores a canonical archive by its content, so that the same tree of files is the same
// package whatever tool made the zip. It also unpacks packages, once each, for instances to share, and
// tells which runtime and handler a tree has when its user said nothing. A Compiler makes what runs of source
// that can't: Go and WebAssembly, in instances of a driver.
package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/semaphore"

	"nimbus"
	"nimbus/internal/blob"
)

// Source is what a user hands in: a zip, a program, or the text of one file.
type Source struct {
	Archive io.Reader         // a zip; nil = Binary
	Binary  *io.SectionReader // one executable file; nil = Text
	Text    string
	Name    string // the file that Binary or Text becomes: main, handler.py
}

// Config bounds a Builder.
type Config struct {
	Limits  nimbus.Limits // Archive, Unpacked, ArchiveFile and InlineCode are obeyed
	TempDir string        // uploads on their way; on the data's disk rather than in memory
	// Grace is how long a package that nothing refers to is kept after its last use: longer than an
	// instance lives, because a running instance may have lost its version. 0 = 2 hours.
	Grace time.Duration
}

const defaultGrace = 2 * time.Hour

// Builder makes packages. Safe for concurrent use.
type Builder struct {
	blobs blob.Store
	cache *Cache
	cfg   Config
	gate  *semaphore.Weighted // a share for each build, all of it to delete
}

const gateShares = 1 << 20

// New returns a builder that keeps packages in blobs and unpacks them with cache.
func New(blobs blob.Store, cache *Cache, cfg Config) (*Builder, error) {
	if cfg.Grace == 0 {
		cfg.Grace = defaultGrace
	}
	tmp, err := filepath.Abs(cfg.TempDir)
	if err != nil {
		return nil, fmt.Errorf("make the upload directory: %w", err)
	}
	cfg.TempDir = tmp
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, fmt.Errorf("make the upload directory: %w", blob.DiskError(err))
	}
	return &Builder{blobs: blobs, cache: cache, cfg: cfg, gate: semaphore.NewWeighted(gateShares)}, nil
}

// Build reads the source, lets check look at its files, stores the package and unpacks it. Errors are
// CodeTooLarge, CodeInvalid (field "code") for what is no archive or a hostile one, or check's own; after
// any of them nothing is left behind. The package is safe from Collect for the grace period.
func (b *Builder) Build(ctx context.Context, src Source, check func(tree fs.FS) error) (nimbus.Package, error) {
	pkg, err := b.build(ctx, src, check)
	var why refusal
	if errors.As(err, &why) {
		var v nimbus.Invalid
		v.Add("code", "%s", why)
		return nimbus.Package{}, v.Err()
	}
	return pkg, err
}

func (b *Builder) build(ctx context.Context, src Source, check func(tree fs.FS) error) (nimbus.Package, error) {
	t, done, err := b.read(ctx, src)
	if err != nil {
		return nimbus.Package{}, err
	}
	defer done()
	if err := check(t); err != nil {
		return nimbus.Package{}, err
	}
	if err := t.markPrograms(); err != nil {
		return nimbus.Package{}, err
	}
	// Uploading is over: from here on it is our own disk that a waiting Collect waits for.
	if err := b.gate.Acquire(ctx, 1); err != nil {
		return nimbus.Package{}, err
	}
	defer b.gate.Release(1)
	pkg, err := b.store(ctx, t)
	if err != nil {
		return nimbus.Package{}, err
	}
	if src.Archive == nil && src.Binary == nil {
		pkg.Inline = src.Name
	}
	if _, err := b.cache.Dir(ctx, pkg); err != nil {
		return nimbus.Package{}, err
	}
	return pkg, nil
}

// Tree returns the files of a package.
func (b *Builder) Tree(ctx context.Context, pkg nimbus.Package) (fs.FS, error) {
	dir, err := b.cache.Dir(ctx, pkg)
	if err != nil {
		return nil, err
	}
	return os.DirFS(dir), nil
}

// Collect deletes packages, stored and unpacked, that keep does not name and that nobody has used for the
// grace period.
func (b *Builder) Collect(ctx context.Context, keep map[string]struct{}) error {
	before := time.Now().Add(-b.cfg.Grace)
	for info, err := range b.blobs.All(ctx) {
		if err != nil {
			return fmt.Errorf("collect packages: %w", err)
		}
		if _, kept := keep[info.Hash]; kept || info.StoredAt.After(before) {
			continue
		}
		if err := b.collect(ctx, info.Hash, before); err != nil {
			return fmt.Errorf("collect package %s: %w", info.Hash, err)
		}
	}
	return b.cache.Evict(ctx, keep, before)
}

// collect deletes one blob, unless a build has come by it meanwhile.
func (b *Builder) collect(ctx context.Context, hash string, before time.Time) error {
	if err := b.gate.Acquire(ctx, gateShares); err != nil {
		return err
	}
	defer b.gate.Release(gateShares)
	if b.cache.lastUse(hash).After(before) {
		return nil
	}
	return b.blobs.Delete(ctx, hash)
}

// read brings the source into a tree; done frees what it stands on.
func (b *Builder) read(ctx context.Context, src Source) (t *tree, done func(), err error) {
	if src.Archive == nil && src.Binary != nil {
		t, err := binaryTree(src.Name, src.Binary, b.cfg.Limits.Archive)
		return t, func() {}, err
	}
	if src.Archive == nil {
		t, err := textTree(src.Name, src.Text, b.cfg.Limits.InlineCode)
		return t, func() {}, err
	}
	file, size, err := b.spool(ctx, src.Archive)
	if err != nil {
		return nil, nil, err
	}
	t, err = readZip(file, size, b.cfg.Limits)
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	return t, func() { _ = file.Close() }, nil
}

// store pipes the canonical archive of the tree into the blob store.
func (b *Builder) store(ctx context.Context, t *tree) (nimbus.Package, error) {
	r, w := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := pack(ctx, w, t)
		w.CloseWithError(err)
		packed <- err
	}()
	// The bound only guards against a mistake of ours: the tree was measured before.
	info, err := b.blobs.Put(ctx, r, 2*b.cfg.Limits.Unpacked+int64(b.cfg.Limits.ArchiveFile)*4*nimbus.KiB+nimbus.MiB)
	_ = r.Close() // lets pack end when Put gave up
	if packErr := <-packed; packErr != nil && err == nil {
		err = packErr
	}
	if err != nil {
		return nimbus.Package{}, fmt.Errorf("store package: %w", err)
	}
	return nimbus.Package{Hash: info.Hash, Size: info.Size}, nil
}
