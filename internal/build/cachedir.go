package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"nimbus"
	"nimbus/internal/blob"
)

// bootIDFile names this boot of the machine (random(4)); a system without it never finds its trees again.
const bootIDFile = "/proc/sys/kernel/random/boot_id"

const makePrefix, dropPrefix = ".make-", ".drop-"

func (c *Cache) trees() string           { return filepath.Join(c.dir, "trees") }
func (c *Cache) trash() string           { return filepath.Join(c.dir, "trash") }
func (c *Cache) path(hash string) string { return filepath.Join(c.trees(), hash) }

// open prepares the directory. What can't be trusted is put aside by renaming, so that starting is quick.
func (c *Cache) open() error {
	for _, dir := range []string{c.dir, c.trees(), c.trash()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	boot, err := os.ReadFile(bootIDFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	marker := filepath.Join(c.dir, "boot")
	known, err := os.ReadFile(marker)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(boot) > 0 && string(known) == string(boot) {
		return c.discardUnfinished()
	}
	if err := c.discard(c.trees()); err != nil {
		return err
	}
	if err := os.Mkdir(c.trees(), 0o700); err != nil {
		return err
	}
	return os.WriteFile(marker, boot, 0o600)
}

// discardUnfinished puts aside what a killed process was making or removing.
func (c *Cache) discardUnfinished() error {
	entries, err := os.ReadDir(c.trees())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			if err := c.discard(filepath.Join(c.trees(), e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Cache) discard(path string) error {
	// Moving a directory to another parent writes into it.
	if err := os.Chmod(path, 0o700); err != nil {
		return err
	}
	return os.Rename(path, filepath.Join(c.trash(), nimbus.NewID().String()))
}

// make puts the tree in place, unless an earlier process did.
func (c *Cache) make(ctx context.Context, hash string) (err error) {
	if _, err := os.Stat(c.path(hash)); err == nil {
		return nil
	}
	r, _, err := c.blobs.Open(ctx, hash)
	if err != nil {
		return err
	}
	defer r.Close()
	tmp, err := os.MkdirTemp(c.trees(), makePrefix)
	if err != nil {
		return blob.DiskError(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeTree(tmp))
		}
	}()
	if err := unpack(ctx, r, tmp); err != nil {
		return err
	}
	return blob.DiskError(os.Rename(tmp, c.path(hash)))
}

// remove takes the tree from its place at once, then from the disk.
func (c *Cache) remove(hash string) error {
	tmp := filepath.Join(c.trees(), dropPrefix+hash)
	if err := os.Rename(c.path(hash), tmp); err != nil {
		return err
	}
	return removeTree(tmp)
}

// removeTree removes a directory whose directories may be read-only, which binds whoever is not root.
func removeTree(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	return os.RemoveAll(dir)
}

func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
