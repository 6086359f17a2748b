//go:build soak

package main

import (
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// adoptOrphans makes this process the parent of whatever a killed server leaves running.
func adoptOrphans(t *testing.T) {
	t.Helper()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0); err != nil {
			t.Error(err)
		}
	})
}

// orphans returns the adopted processes that still run, and buries those that don't. Pid is that of the
// server that runs, 0 = none.
func orphans(t *testing.T, pid int) []int {
	t.Helper()
	all, own := descendants(t, os.Getpid()), []int{pid}
	if pid != 0 {
		own = append(own, descendants(t, pid)...) // looked at last: what is born meanwhile is nobody's orphan
	}
	var left []int
	for _, child := range all {
		switch {
		case slices.Contains(own, child):
		case alive(child):
			left = append(left, child)
		default:
			_, _ = unix.Wait4(child, nil, unix.WNOHANG, nil) // it may not be a child but a grandchild
		}
	}
	return left
}

// debris lists what a data directory holds besides what is kept: uploads, halves of backups, restores, blobs
// and trees.
func debris(t *testing.T, dataDir string) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{".backup-*", ".restore-new", "restore", "*.replaced", "uploads/*", "blobs/tmp/*",
		"cache/packages/trees/.*", "cache/packages/trash/*", "store/*.restoring", "run/*"} {
		match, err := filepath.Glob(filepath.Join(dataDir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, match...)
	}
	return found
}

// checkStores checks the integrity of the databases of a data directory that no server uses. It works on a
// copy: what a crash left is the next server's to recover.
func checkStores(t *testing.T, dataDir string) {
	t.Helper()
	scratch := t.TempDir()
	if err := os.CopyFS(scratch, os.DirFS(filepath.Join(dataDir, "store"))); err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(os.DirFS(scratch), "*.db")
	if err != nil || len(files) == 0 {
		t.Fatalf("the store has no databases: %v", err)
	}
	for _, name := range files {
		db, err := sql.Open("sqlite", filepath.Join(scratch, name))
		if err != nil {
			t.Fatal(err)
		}
		var verdict string
		if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
			t.Errorf("%s is damaged: %s, %v", name, verdict, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := os.RemoveAll(scratch); err != nil {
		t.Fatal(err)
	}
}
