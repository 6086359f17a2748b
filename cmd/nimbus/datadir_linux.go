package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"nimbus/internal/backup"
)

// dataDirectory is an installation's directory, locked for this process.
type dataDirectory struct {
	path string
	lock *os.File
}

// openDataDir makes the directory if need be and locks it. A second server on it is refused with the name
// of the first.
func openDataDir(path string) (*dataDirectory, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find data directory: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil { // instances see their code by a mount, not by this path
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, fmt.Errorf("find data directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer func() { _ = lock.Close() }() // nothing was written
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock data directory: %w", err)
		}
		holder, _ := io.ReadAll(io.LimitReader(lock, 1<<10)) // an unreadable name is an unknown holder
		return nil, fmt.Errorf("the data directory %s is in use by %s; stop it, or choose another with --data-dir",
			path, cmp.Or(strings.TrimSpace(string(holder)), "another server"))
	}
	return &dataDirectory{path: path, lock: lock}, nil
}

// announce writes who holds the directory into the lock.
func (d *dataDirectory) announce(address string) error {
	text := fmt.Sprintf("process %d (nimbus serve on %s, since %s)\n", os.Getpid(), address, time.Now().Format(time.RFC3339))
	if err := d.lock.Truncate(0); err != nil {
		return fmt.Errorf("write lock: %w", err)
	}
	if _, err := d.lock.WriteAt([]byte(text), 0); err != nil {
		return fmt.Errorf("write lock: %w", err)
	}
	return nil
}

// Close gives the directory free.
func (d *dataDirectory) Close() error { return d.lock.Close() }

func (d *dataDirectory) storeDir() string   { return filepath.Join(d.path, "store") }
func (d *dataDirectory) blobDir() string    { return filepath.Join(d.path, "blobs") }
func (d *dataDirectory) cacheDir() string   { return filepath.Join(d.path, "cache", "packages") }
func (d *dataDirectory) buildDir() string   { return filepath.Join(d.path, "cache", "build") }
func (d *dataDirectory) programDir() string { return filepath.Join(d.path, "cache", "programs") }
func (d *dataDirectory) logDir() string     { return filepath.Join(d.path, "logs") }
func (d *dataDirectory) uploadDir() string  { return filepath.Join(d.path, "uploads") }
func (d *dataDirectory) scratchDir() string { return filepath.Join(d.path, "run") }

func (d *dataDirectory) layout() backup.Layout {
	return backup.Layout{DataDir: d.path, Store: d.storeDir(), Blobs: d.blobDir()}
}

// applyRestore puts a staged restore into place.
func (d *dataDirectory) applyRestore(log *slog.Logger) error {
	applied, err := backup.Apply(d.layout())
	if err != nil {
		return fmt.Errorf("apply the staged restore: %w", err)
	}
	if applied {
		log.Info("applied a restore")
	}
	return nil
}

// owner labels what this installation starts on the machine, so that a later start finds its leftovers and
// no one else's: the directory's path and identity, which a copy elsewhere does not share.
func (d *dataDirectory) owner() (string, error) {
	info, err := os.Stat(d.path)
	if err != nil {
		return "", fmt.Errorf("stat data directory: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fmt.Errorf("stat data directory: no inode")
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d", d.path, st.Dev, st.Ino))
	return hex.EncodeToString(sum[:6]), nil
}
