package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Layout names where an installation keeps what a backup holds.
type Layout struct {
	DataDir string
	Store   string // directory of the stores
	Blobs   string // directory of the blob store
}

// Apply moves a staged restore into place and reports whether there was one. It must run while nothing is
// open. Killed in the middle, the next call finishes the work.
func Apply(l Layout) (applied bool, err error) {
	stage := filepath.Join(l.DataDir, stageDir)
	if _, err := os.Stat(stage); errors.Is(err, fs.ErrNotExist) {
		return false, errors.Join(removeLeftovers(l.DataDir), removeReplaced(l))
	} else if err != nil {
		return false, fmt.Errorf("look for a staged restore: %w", err)
	}
	for from, to := range map[string]string{storeDir: l.Store, blobDir: l.Blobs} {
		if err := swap(filepath.Join(stage, from), to); err != nil {
			return false, err
		}
	}
	if err := os.RemoveAll(stage); err != nil {
		return false, fmt.Errorf("remove %s: %w", stage, err)
	}
	return true, errors.Join(syncDir(l.DataDir), removeLeftovers(l.DataDir), removeReplaced(l))
}

// swap replaces target by staged. A staged directory that is gone was moved by an earlier, killed call.
func swap(staged, target string) error {
	if _, err := os.Stat(staged); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.RemoveAll(replaced(target)); err != nil {
		return fmt.Errorf("remove %s: %w", replaced(target), err)
	}
	if err := os.Rename(target, replaced(target)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("set %s aside: %w", target, err)
	}
	if err := os.Rename(staged, target); err != nil {
		return fmt.Errorf("put %s into place: %w", target, err)
	}
	return syncDir(filepath.Dir(target))
}

func replaced(target string) string { return target + ".replaced" }

func removeReplaced(l Layout) error {
	return errors.Join(os.RemoveAll(replaced(l.Store)), os.RemoveAll(replaced(l.Blobs)))
}

// removeLeftovers removes what a backup or an unfinished upload left when the server was killed.
func removeLeftovers(dataDir string) error {
	left, err := filepath.Glob(filepath.Join(dataDir, ".backup-*"))
	if err != nil {
		return err
	}
	for _, dir := range append(left, filepath.Join(dataDir, partialDir)) {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove %s: %w", dir, err)
		}
	}
	return nil
}
