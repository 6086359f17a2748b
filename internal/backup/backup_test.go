package backup_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nimbus"
	"nimbus/internal/backup"
	"nimbus/internal/blob"
	"nimbus/internal/blob/dir"
)

// stores is a Snapshotter of one file.
type stores struct{ content string }

func (s stores) Snapshot(_ context.Context, dir string) error {
	return os.WriteFile(filepath.Join(dir, "control.db"), []byte(s.content), 0o600)
}

// packages are the hashes the control data refers to.
type packages map[string]struct{}

func (p packages) PackageHashes(context.Context) (map[string]struct{}, error) {
	return maps.Clone(p), nil
}

// installation is a data directory with a backup service.
type installation struct {
	dir      string
	blobs    *dir.Store
	packages packages
	service  *backup.Service
	staged   int
}

var errUnreadable = nimbus.Errorf(nimbus.CodeBadRequest, "the stores are unreadable")

func newInstallation(t *testing.T, content string) *installation {
	t.Helper()
	in := &installation{dir: t.TempDir(), packages: packages{}}
	var err error
	if in.blobs, err = dir.Open(filepath.Join(in.dir, "blobs")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(in.dir, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(in.dir, "store", "control.db"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	in.service = backup.New(stores{content}, in.packages, in.blobs, backup.Config{
		DataDir: in.dir, Version: "test", Log: slog.New(slog.DiscardHandler),
		OpenBlobs: func(path string) (blob.Store, error) { return dir.Open(path) },
		RestoreStores: func(_ context.Context, from, to string) error {
			if text, err := os.ReadFile(filepath.Join(from, "control.db")); err != nil || strings.Contains(string(text), "broken") {
				return errUnreadable
			}
			return os.CopyFS(to, os.DirFS(from))
		},
		Staged: func() { in.staged++ },
	})
	return in
}

func (in *installation) layout() backup.Layout {
	return backup.Layout{DataDir: in.dir, Store: filepath.Join(in.dir, "store"), Blobs: filepath.Join(in.dir, "blobs")}
}

func (in *installation) put(t *testing.T, content string) string {
	t.Helper()
	info, err := in.blobs.Put(t.Context(), strings.NewReader(content), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	in.packages[info.Hash] = struct{}{}
	return info.Hash
}

func (in *installation) write(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := in.service.Backup(t.Context(), nimbus.LocalPrincipal(), &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (in *installation) control(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(in.dir, "store", "control.db"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// unchanged fails the test when anything but what was there before is in the data directory.
func (in *installation) unchanged(t *testing.T, control string) {
	t.Helper()
	if in.staged != 0 {
		t.Error("a restore was staged")
	}
	if got := in.control(t); got != control {
		t.Errorf("the store holds %q", got)
	}
	entries, err := os.ReadDir(in.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "store" && e.Name() != "blobs" {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestBackupComesBack(t *testing.T) {
	t.Parallel()
	from := newInstallation(t, "functions of from")
	hash := from.put(t, "a package")
	stream := from.write(t)
	from.unchanged(t, "functions of from")

	to := newInstallation(t, "functions of to")
	other := to.put(t, "another package")
	if err := to.service.Restore(t.Context(), nimbus.LocalPrincipal(), bytes.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	if to.staged != 1 || to.control(t) != "functions of to" {
		t.Errorf("staged %d times; before the restart the store holds %q", to.staged, to.control(t))
	}
	if applied, err := backup.Apply(to.layout()); !applied || err != nil {
		t.Fatalf("apply: %v, %v", applied, err)
	}
	to.staged = 0
	to.unchanged(t, "functions of from")
	blobs, err := dir.Open(filepath.Join(to.dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := blobs.Open(t.Context(), hash)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if text, err := io.ReadAll(r); err != nil || string(text) != "a package" {
		t.Errorf("the package is %q, %v", text, err)
	}
	if _, _, err := blobs.Open(t.Context(), other); nimbus.CodeOf(err) != nimbus.CodeNotFound {
		t.Errorf("a package of before: %v", err)
	}
	if applied, err := backup.Apply(to.layout()); applied || err != nil {
		t.Errorf("applying again: %v, %v", applied, err)
	}
}

func TestRefusedStreamsChangeNothing(t *testing.T) {
	t.Parallel()
	whole := newInstallation(t, "functions")
	whole.put(t, "a package")
	stream := whole.write(t)
	broken := newInstallation(t, "broken")
	for name, bad := range map[string][]byte{
		"empty":             nil,
		"no tar":            []byte(strings.Repeat("no tar", 1000)),
		"torn":              stream[:len(stream)-1500],
		"unreadable stores": broken.write(t),
		"damaged package":   bytes.Replace(stream, []byte("a package"), []byte("b package"), 1),
		"newer format":      tarOf(t, "nimbus-backup.json", `{"format":99,"nimbus":"9.9"}`),
		"no manifest":       tarOf(t, "store/control.db", "x"),
		"outside":           append(manifest(t), tarOf(t, "store/../../evil", "x")...),
		"hidden":            append(manifest(t), tarOf(t, "store/.evil", "x")...),
		"elsewhere":         append(manifest(t), tarOf(t, "etc/passwd", "x")...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInstallation(t, "mine")
			err := in.service.Restore(t.Context(), nimbus.LocalPrincipal(), bytes.NewReader(bad))
			if nimbus.CodeOf(err) != nimbus.CodeBadRequest {
				t.Errorf("it was answered with %v", err)
			}
			in.unchanged(t, "mine")
		})
	}
}

// manifest is a tar with a good manifest and no end.
func manifest(t *testing.T) []byte {
	t.Helper()
	b := tarOf(t, "nimbus-backup.json", `{"format":1,"nimbus":"test"}`)
	return b[:len(b)-1024]
}

func tarOf(t *testing.T, name, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A kill can fall between any two steps of Apply; what they leave is built here by hand.
func TestApplyFinishesWhatAKillCutOff(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(t *testing.T, in *installation) error{
		"before anything": func(*testing.T, *installation) error { return nil },
		"store set aside": func(_ *testing.T, in *installation) error {
			return os.Rename(filepath.Join(in.dir, "store"), filepath.Join(in.dir, "store.replaced"))
		},
		"store in place": func(_ *testing.T, in *installation) error {
			return errors.Join(os.Rename(filepath.Join(in.dir, "store"), filepath.Join(in.dir, "store.replaced")),
				os.Rename(filepath.Join(in.dir, "restore", "store"), filepath.Join(in.dir, "store")))
		},
		"both in place": func(_ *testing.T, in *installation) error {
			return errors.Join(os.RemoveAll(filepath.Join(in.dir, "store")), os.RemoveAll(filepath.Join(in.dir, "blobs")),
				os.Rename(filepath.Join(in.dir, "restore", "store"), filepath.Join(in.dir, "store")),
				os.Rename(filepath.Join(in.dir, "restore", "blobs"), filepath.Join(in.dir, "blobs")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream := newInstallation(t, "new").write(t)
			in := newInstallation(t, "old")
			if err := in.service.Restore(t.Context(), nimbus.LocalPrincipal(), bytes.NewReader(stream)); err != nil {
				t.Fatal(err)
			}
			if err := cut(t, in); err != nil {
				t.Fatal(err)
			}
			if applied, err := backup.Apply(in.layout()); !applied || err != nil {
				t.Fatalf("apply: %v, %v", applied, err)
			}
			in.staged = 0
			in.unchanged(t, "new")
		})
	}
}

func TestApplyRemovesLeftoversOfAKill(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, "mine")
	for _, left := range []string{".backup-123", ".restore-new/store", "store.replaced"} {
		if err := os.MkdirAll(filepath.Join(in.dir, left), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if applied, err := backup.Apply(in.layout()); applied || err != nil {
		t.Fatalf("apply: %v, %v", applied, err)
	}
	in.unchanged(t, "mine")
}

func TestABackupThatLacksAPackageIsNone(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, "mine")
	if err := in.blobs.Delete(t.Context(), in.put(t, "a package")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := in.service.Backup(t.Context(), nimbus.LocalPrincipal(), &out); nimbus.CodeOf(err) != nimbus.CodeConflict {
		t.Errorf("it was answered with %v", err)
	}
	if err := in.service.Restore(t.Context(), nimbus.LocalPrincipal(), &out); nimbus.CodeOf(err) != nimbus.CodeBadRequest {
		t.Errorf("restoring it: %v", err)
	}
	in.unchanged(t, "mine")
}

func TestOnlyAdminsOfEverythingMay(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, "mine")
	for _, p := range []nimbus.Principal{
		{Subject: "apikey:w", Scopes: []nimbus.Scope{nimbus.ScopeWrite}},
		{Subject: "apikey:a", Scopes: []nimbus.Scope{nimbus.ScopeAdmin}, Namespaces: []string{"team"}},
	} {
		if err := in.service.Backup(t.Context(), p, io.Discard); nimbus.CodeOf(err) != nimbus.CodeForbidden {
			t.Errorf("%s writes: %v", p.Subject, err)
		}
		if err := in.service.Restore(t.Context(), p, strings.NewReader("")); nimbus.CodeOf(err) != nimbus.CodeForbidden {
			t.Errorf("%s stages: %v", p.Subject, err)
		}
	}
}

func TestASecondRestoreWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	stream := newInstallation(t, "new").write(t)
	in := newInstallation(t, "old")
	for i, want := range []nimbus.Code{"", nimbus.CodeConflict} {
		err := in.service.Restore(t.Context(), nimbus.LocalPrincipal(), bytes.NewReader(stream))
		if nimbus.CodeOf(err) != want {
			t.Errorf("restore %d: %v", i+1, err)
		}
	}
}
