// Package backup copies a running installation into one tar stream and takes such a stream back. A backup
// holds the control data, the records, the ledger and every code package; not the logs of functions, and
// not what can be made again (unpacked packages).
//
// Taking one back has two halves, so that a crash at any moment leaves either the old state or the new one:
// Restore verifies the whole stream into <data>/restore and marks it complete; Apply, which runs before the
// stores are opened, moves it into place.
package backup

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"nimbus"
	"nimbus/internal/blob"
	"nimbus/internal/store"
)

// Format is the version of the stream's layout.
const Format = 1

const (
	manifestName = "nimbus-backup.json"
	endName      = "nimbus-backup.end" // the last file: tar readers don't mind a stream without its trailer
	storeDir     = "store"
	blobDir      = "blobs"
)

// Manifest is the first file of a backup.
type Manifest struct {
	Format    int       `json:"format"`
	Nimbus    string    `json:"nimbus"` // the version that wrote it
	CreatedAt time.Time `json:"created_at"`
}

// Packages tells which packages the control data refers to (store.Functions).
type Packages interface {
	PackageHashes(ctx context.Context) (map[string]struct{}, error)
}

// Config of a Service.
type Config struct {
	DataDir string // holds restore/ and the scratch directory of a backup
	Version string // of this Nimbus, for the manifest
	Log     *slog.Logger
	// RestoreStores checks a snapshot of the stores, refuses one this Nimbus can't read, and copies it to a
	// directory that does not exist yet, durably.
	RestoreStores func(ctx context.Context, from, to string) error
	// OpenBlobs opens a blob store in an empty directory, to stage a restore.
	OpenBlobs func(dir string) (blob.Store, error)
	// Staged is called once a restore is staged: the server must restart to apply it.
	Staged func()
}

// Service writes and stages backups. Safe for concurrent use.
type Service struct {
	stores   store.Snapshotter
	packages Packages
	blobs    blob.Store
	cfg      Config
	staging  chan struct{} // holds a token while a restore is being staged
}

// New returns a Service.
func New(stores store.Snapshotter, packages Packages, blobs blob.Store, cfg Config) *Service {
	return &Service{stores: stores, packages: packages, blobs: blobs, cfg: cfg, staging: make(chan struct{}, 1)}
}

// Backup writes a backup of the installation as it is now. Calls and changes go on meanwhile. When it
// returns an error what was written is not a backup, and Restore refuses it.
func (s *Service) Backup(ctx context.Context, p nimbus.Principal, w io.Writer) error {
	if err := p.RequireInstallation(nimbus.ScopeAdmin); err != nil {
		return err
	}
	// What the copied control data refers to was referred to before it was copied, or is new, and new
	// packages are not collected: a hash of now that has no blob below was collected in between.
	needed, err := s.packages.PackageHashes(ctx)
	if err != nil {
		return fmt.Errorf("list packages: %w", err)
	}
	scratch, err := os.MkdirTemp(s.cfg.DataDir, ".backup-*")
	if err != nil {
		return fmt.Errorf("make scratch directory: %w", err)
	}
	defer s.removeScratch(scratch)
	if err := s.stores.Snapshot(ctx, scratch); err != nil {
		return fmt.Errorf("snapshot the stores: %w", err)
	}

	out := tar.NewWriter(w)
	manifest, err := json.Marshal(Manifest{Format: Format, Nimbus: s.cfg.Version, CreatedAt: time.Now().UTC()})
	if err != nil {
		return err
	}
	if err := writeFile(out, manifestName, manifest); err != nil {
		return err
	}
	entries, err := os.ReadDir(scratch)
	if err != nil {
		return fmt.Errorf("list the snapshot: %w", err)
	}
	for _, entry := range entries {
		if err := copyFile(out, storeDir+"/"+entry.Name(), filepath.Join(scratch, entry.Name())); err != nil {
			return err
		}
	}
	for info, err := range s.blobs.All(ctx) {
		if err != nil {
			return fmt.Errorf("list blobs: %w", err)
		}
		if err := s.copyBlob(ctx, out, info); err != nil {
			return err
		}
		delete(needed, info.Hash)
	}
	if len(needed) > 0 {
		return nimbus.Errorf(nimbus.CodeConflict, "functions were deleted while the backup was made; make it again")
	}
	if err := writeFile(out, endName, nil); err != nil {
		return err
	}
	return out.Close()
}

func (s *Service) copyBlob(ctx context.Context, out *tar.Writer, info blob.Info) error {
	r, info, err := s.blobs.Open(ctx, info.Hash)
	if err != nil {
		return fmt.Errorf("open blob %s: %w", info.Hash, err)
	}
	defer func() { _ = r.Close() }() // only read
	if err := out.WriteHeader(header(blobDir+"/"+info.Hash, info.Size)); err != nil {
		return fmt.Errorf("write blob %s: %w", info.Hash, err)
	}
	if _, err := io.Copy(out, r); err != nil {
		return fmt.Errorf("copy blob %s: %w", info.Hash, err)
	}
	return nil
}

func (s *Service) removeScratch(dir string) {
	if err := os.RemoveAll(dir); err != nil {
		s.cfg.Log.Warn("remove scratch directory", "dir", dir, "error", err)
	}
}

func header(name string, size int64) *tar.Header {
	return &tar.Header{Name: name, Mode: 0o600, Size: size, Format: tar.FormatPAX}
}

func writeFile(out *tar.Writer, name string, content []byte) error {
	if err := out.WriteHeader(header(name, int64(len(content)))); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if _, err := out.Write(content); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func copyFile(out *tar.Writer, name, path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("stat %s: %w", name, err)
	}
	if err := out.WriteHeader(header(name, info.Size())); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if _, err := io.Copy(out, f); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
