package sqlite

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"nimbus"
	"nimbus/internal/store"
)

var _ store.Snapshotter = (*Store)(nil)

// TestSnapshotRestore copies a store that is being written to: everything stored before the copy began is in
// it, and it opens.
func TestSnapshotRestore(t *testing.T) {
	t.Parallel()
	s := open(t)
	f, r, e := seed(t, s)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, err := s.Ledger().Append(t.Context(), sampleEntry())
					must(t, err)
				}
			}
		})
	}
	snapshot := t.TempDir()
	err := s.Snapshot(t.Context(), snapshot)
	close(stop)
	wg.Wait()
	must(t, err)
	to := filepath.Join(t.TempDir(), "a", "b")
	must(t, Restore(t.Context(), snapshot, to))
	restored := openIn(t, to)
	wantSeed(t, restored, f, r, e)
	_, err = restored.Ledger().Append(t.Context(), sampleEntry())
	must(t, err)
	if names := list(t, snapshot); len(names) != 3 {
		t.Errorf("the snapshot is %v, want three files and nothing beside them", names)
	}
	for _, dir := range []string{s.files[0].dir, snapshot, to} {
		for _, name := range list(t, dir) {
			info, err := os.Stat(filepath.Join(dir, name))
			must(t, err)
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s may be read by others: %v", name, info.Mode())
			}
		}
	}
}

func TestSnapshotTwice(t *testing.T) {
	t.Parallel()
	s := open(t)
	dir := t.TempDir()
	must(t, s.Snapshot(t.Context(), dir))
	if err := s.Snapshot(t.Context(), dir); err == nil {
		t.Error("a snapshot was written over another")
	}
	wantCode(t, s.Snapshot(t.Context(), filepath.Join(dir, "missing")), nimbus.CodeUnavailable)
}

// TestRestoreRefuses: what is not a whole snapshot of ours is refused by name and leaves nothing behind.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	s := open(t)
	for range 50 {
		_, err := s.Ledger().Append(t.Context(), sampleEntry())
		must(t, err)
	}
	good := t.TempDir()
	must(t, s.Snapshot(t.Context(), good))
	for name, test := range map[string]struct {
		spoil func(t *testing.T, dir string)
		code  nimbus.Code
		says  string
	}{
		"missing": {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "records.db"))) },
			nimbus.CodeNotFound, "records.db"},
		"empty": {func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, "ledger.db"), 0)) },
			nimbus.CodeConflict, "ledger.db"},
		"truncated": {func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, "ledger.db"), 40_000)) },
			nimbus.CodeInternal, "damaged"},
		"overwritten": {func(t *testing.T, dir string) { overwrite(t, filepath.Join(dir, "ledger.db"), 3*16384) },
			nimbus.CodeInternal, "damaged"},
		"not a database": {func(t *testing.T, dir string) { overwrite(t, filepath.Join(dir, "control.db"), 0) },
			nimbus.CodeInternal, "damaged"},
		"newer": {func(t *testing.T, dir string) { pragma(t, filepath.Join(dir, "control.db"), "user_version = 999") },
			nimbus.CodeConflict, "newer Nimbus"},
		"foreign": {func(t *testing.T, dir string) { pragma(t, filepath.Join(dir, "control.db"), "application_id = 7") },
			nimbus.CodeConflict, "not a control file"},
		"exchanged": {func(t *testing.T, dir string) {
			must(t, os.Rename(filepath.Join(dir, "ledger.db"), filepath.Join(dir, "control.db")))
		}, nimbus.CodeConflict, "not a control file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, to := t.TempDir(), filepath.Join(t.TempDir(), "to")
			must(t, os.CopyFS(dir, os.DirFS(good)))
			test.spoil(t, dir)
			err := Restore(t.Context(), dir, to)
			wantCode(t, err, test.code)
			if err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("error is %q, want it to say %q", err, test.says)
			}
			if _, err := os.Stat(to); !os.IsNotExist(err) {
				t.Errorf("a refused restore left %v", list(t, to))
			}
		})
	}
}

// TestRestoreSparesStore: a directory with a store, or with the log of one, is left as it is.
func TestRestoreSparesStore(t *testing.T) {
	t.Parallel()
	snapshot := t.TempDir()
	must(t, open(t).Snapshot(t.Context(), snapshot))
	for _, name := range []string{"control.db", "ledger.db-wal", "records.db-shm", "control.db-journal"} {
		to := t.TempDir()
		must(t, os.WriteFile(filepath.Join(to, name), []byte("precious"), 0o600))
		wantCode(t, Restore(t.Context(), snapshot, to), nimbus.CodeConflict)
		if names := list(t, to); len(names) != 1 || names[0] != name {
			t.Errorf("a refused restore left %v, want %s alone", names, name)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil func(t *testing.T, path string)
		code  nimbus.Code
		says  string
	}{
		"newer": {func(t *testing.T, path string) { pragma(t, path, "user_version = 999") },
			nimbus.CodeConflict, "its schema is 999"},
		"foreign":        {func(t *testing.T, path string) { pragma(t, path, "application_id = 7") }, nimbus.CodeConflict, "not a records file"},
		"unmarked":       {func(t *testing.T, path string) { pragma(t, path, "application_id = 0; PRAGMA user_version = 0") }, nimbus.CodeConflict, "not a records file"},
		"not a database": {func(t *testing.T, path string) { overwrite(t, path, 0) }, nimbus.CodeInternal, "damaged"},
		"a directory": {func(t *testing.T, path string) {
			must(t, os.Remove(path))
			must(t, os.Mkdir(path, 0o700))
		}, nimbus.CodeUnavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			must(t, openIn(t, dir).Close())
			test.spoil(t, filepath.Join(dir, "records.db"))
			_, err := Open(t.Context(), Config{Dir: dir})
			wantCode(t, err, test.code)
			if err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("error is %q, want it to say %q", err, test.says)
			}
		})
	}
}

// overwrite puts noise over part of a file.
func overwrite(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteAt([]byte(strings.Repeat("noise ", 100)), at)
	must(t, err)
	must(t, f.Close())
}

// pragma changes what a closed file says about itself.
func pragma(t *testing.T, path, assignment string) {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(path, nil))
	must(t, err)
	_, err = db.ExecContext(t.Context(), fmt.Sprintf("PRAGMA %s", assignment))
	must(t, err)
	must(t, db.Close())
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
