package backup

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"nimbus"
	"nimbus/internal/blob"
)

const (
	stageDir   = "restore"      // under the data directory
	partialDir = ".restore-new" // while it is being filled
)

// Restore reads a backup, verifies all of it (the stores' integrity, every package's hash, the end of the
// stream) and leaves it for Apply; then it calls Config.Staged. After an error nothing has changed.
func (s *Service) Restore(ctx context.Context, p nimbus.Principal, r io.Reader) error {
	if err := p.RequireInstallation(nimbus.ScopeAdmin); err != nil {
		return err
	}
	select {
	case s.staging <- struct{}{}:
		defer func() { <-s.staging }()
	default:
		return nimbus.Errorf(nimbus.CodeConflict, "another restore is under way")
	}
	if _, err := os.Stat(filepath.Join(s.cfg.DataDir, stageDir)); err == nil {
		return nimbus.Errorf(nimbus.CodeConflict, "a restore is waiting for the server's restart")
	}
	partial := filepath.Join(s.cfg.DataDir, partialDir)
	if err := os.RemoveAll(partial); err != nil {
		return fmt.Errorf("clear %s: %w", partial, err)
	}
	if err := s.unpack(ctx, partial, r); err != nil {
		s.removeScratch(partial)
		return translate(err)
	}
	// The rename is the mark: a stage directory is always complete.
	if err := os.Rename(partial, filepath.Join(s.cfg.DataDir, stageDir)); err != nil {
		return fmt.Errorf("mark the restore complete: %w", err)
	}
	if err := syncDir(s.cfg.DataDir); err != nil {
		return err
	}
	s.cfg.Staged()
	return nil
}

func (s *Service) unpack(ctx context.Context, dir string, r io.Reader) error {
	incoming := filepath.Join(dir, "incoming")
	if err := os.MkdirAll(incoming, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", incoming, err)
	}
	blobs, err := s.cfg.OpenBlobs(filepath.Join(dir, blobDir))
	if err != nil {
		return fmt.Errorf("open staged blobs: %w", err)
	}
	in := tar.NewReader(r)
	for first := true; ; first = false {
		h, err := in.Next()
		if err != nil {
			return refuse("it ends too early or is no tar stream: %v", err)
		}
		if first {
			if err := checkManifest(h, in); err != nil {
				return err
			}
			continue
		}
		if h.Name == endName {
			break
		}
		if err := stageEntry(ctx, h, in, incoming, blobs); err != nil {
			return err
		}
	}
	if err := s.cfg.RestoreStores(ctx, incoming, filepath.Join(dir, storeDir)); err != nil {
		return fmt.Errorf("check the stores: %w", err)
	}
	if err := os.RemoveAll(incoming); err != nil {
		return fmt.Errorf("remove %s: %w", incoming, err)
	}
	return syncDir(dir)
}

func checkManifest(h *tar.Header, r io.Reader) error {
	if h.Name != manifestName {
		return refuse("it does not begin with %s", manifestName)
	}
	var m Manifest
	if err := json.NewDecoder(io.LimitReader(r, 64<<10)).Decode(&m); err != nil {
		return refuse("%s: %v", manifestName, err)
	}
	if m.Format != Format {
		return refuse("its format is %d, written by Nimbus %s; this Nimbus reads format %d", m.Format, m.Nimbus, Format)
	}
	return nil
}

func stageEntry(ctx context.Context, h *tar.Header, r io.Reader, incoming string, blobs blob.Store) error {
	kind, name, _ := strings.Cut(h.Name, "/")
	if h.Typeflag != tar.TypeReg || name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return refuse("%q does not belong into one", h.Name)
	}
	switch kind {
	case storeDir:
		return writeFileFrom(filepath.Join(incoming, name), r)
	case blobDir:
		info, err := blobs.Put(ctx, r, h.Size)
		if err != nil {
			return err
		}
		if info.Hash != name {
			return refuse("package %s is damaged", name)
		}
		return nil
	}
	return refuse("%q does not belong into one", h.Name)
}

func refuse(format string, args ...any) error {
	return nimbus.Errorf(nimbus.CodeBadRequest, "this is no backup that can be restored: "+format, args...)
}

// translate gives a full disk its code; what has one already keeps it.
func translate(err error) error {
	var known *nimbus.Error
	if errors.As(err, &known) {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) {
		return nimbus.WrapError(nimbus.CodeInsufficientStorage, err, "the disk is full; make room and restore again")
	}
	return err
}

func writeFileFrom(path string, r io.Reader) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, r); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func syncDir(dir string) (err error) {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
