package sqlite

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"nimbus"
)

// TestMigrations holds the files to what SQLite, PostgreSQL and MySQL have in common: one statement each
// (MySQL can't roll back two), and indexes of whole tables.
func TestMigrations(t *testing.T) {
	t.Parallel()
	for _, sch := range schemas() {
		folder, err := sch.migrations()
		must(t, err)
		names, err := fs.Glob(folder, "*")
		must(t, err)
		for i, name := range names {
			if n, err := goose.NumericComponent(name); err != nil || n != int64(i+1) {
				t.Errorf("%s/%s is number %d, want %d (%v)", sch.name, name, n, i+1, err)
			}
			text, err := fs.ReadFile(folder, name)
			must(t, err)
			statement, ok := strings.CutPrefix(string(text), "-- +goose Up\n")
			if !ok || strings.Count(statement, ";") != 1 || !strings.HasSuffix(statement, ";\n") {
				t.Errorf("%s/%s has not exactly one statement", sch.name, name)
			}
			upper := strings.ToUpper(statement)
			for _, word := range []string{"RETURNING", "JSON_", "->", "COLLATE", " WHERE "} {
				if strings.Contains(upper, word) {
					t.Errorf("%s/%s has %q, which the databases don't share", sch.name, name, strings.TrimSpace(word))
				}
			}
			if strings.Contains(upper, "CREATE TABLE") && !strings.Contains(upper, ") STRICT") {
				t.Errorf("%s/%s makes a table that isn't strict", sch.name, name)
			}
		}
		if latest, err := sch.latest(); err != nil || latest != int64(len(names)) {
			t.Errorf("the latest migration of %s is %d (%v), want %d", sch.name, latest, err, len(names))
		}
	}
}

// TestMigrationResumes: a program that died half-way through the migrations goes on at the next start.
func TestMigrationResumes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, sch := range schemas() {
		f := &file{schema: sch, dir: dir}
		db, err := f.open(1, f.writerParameters())
		must(t, err)
		must(t, sch.claim(t.Context(), db))
		folder, err := sch.migrations()
		must(t, err)
		provider, err := goose.NewProvider(goose.DialectSQLite3, db, folder, goose.WithDisableGlobalRegistry(true))
		must(t, err)
		_, err = provider.UpTo(t.Context(), 2)
		must(t, err)
		must(t, db.Close())
	}
	s := openIn(t, dir)
	seed(t, s)
	for _, f := range s.files {
		h, err := readHeader(t.Context(), f.reader)
		must(t, err)
		if latest, err := f.schema.latest(); err != nil || h.version != latest {
			t.Errorf("%s is at version %d, want %d (%v)", f.schema.name, h.version, latest, err)
		}
	}
}

// TestMigrationKeepsFunctions: what an installation of the first release holds is there after the update, with
// what was added empty.
func TestMigrationKeepsFunctions(t *testing.T) {
	t.Parallel()
	const firstRelease = 11
	dir := t.TempDir()
	f := &file{schema: schemas()[0], dir: dir}
	db, err := f.open(1, f.writerParameters())
	must(t, err)
	must(t, f.schema.claim(t.Context(), db))
	folder, err := f.schema.migrations()
	must(t, err)
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, folder, goose.WithDisableGlobalRegistry(true))
	must(t, err)
	_, err = provider.UpTo(t.Context(), firstRelease)
	must(t, err)
	id := nimbus.NewID()
	for _, statement := range []string{
		`INSERT INTO functions VALUES (?, 'default', 'default', 'Old', 'old', 'active', '', 2, 1, 2)`,
		`INSERT INTO versions VALUES (?, 2, 1, 'hash', 3, 'handler.py', 'python3.11', 'handler.handle', 4, 5, 6, 7, 8, 9,
			'sandbox', 'errors', 'v2', 10, 'says', '{"A":"1"}')`,
		`INSERT INTO version_tags VALUES (?, 2, 'tag')`,
	} {
		_, err := db.ExecContext(t.Context(), statement, id[:])
		must(t, err)
	}
	must(t, db.Close())

	s := openIn(t, dir)
	got, err := s.Control().FunctionByName(t.Context(), "default", "old")
	must(t, err)
	want := &nimbus.Function{
		ID: id, Tenant: "default", Namespace: "default", Name: "Old", Status: nimbus.StatusActive,
		Version: nimbus.Version{
			FunctionID: id, Number: 2, Published: true, Package: nimbus.Package{Hash: "hash", Size: 3, Inline: "handler.py"},
			Settings: nimbus.Settings{
				Description: "says", Runtime: "python3.11", Handler: "handler.handle", Memory: 4, Timeout: 5 * time.Microsecond,
				Env: map[string]string{"A": "1"}, Tags: []string{"tag"}, MaxConcurrency: 6, IdleTimeout: 7 * time.Microsecond,
				CPUMilli: 8, Tmp: 9, Driver: "sandbox", Capture: nimbus.CaptureErrors, EventFormat: nimbus.EventFormatV2,
			},
			CreatedAt: fromMicros(10),
		},
		CreatedAt: fromMicros(1), UpdatedAt: fromMicros(2),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("it came to (-want +got):\n%s", diff)
	}
	next := sampleFunction("next").Version
	next.FunctionID, next.Number = id, 3
	must(t, s.Control().AddVersion(t.Context(), &next))
}

// TestPragmas: what durability rests on is what the connections really run with.
func TestPragmas(t *testing.T) {
	t.Parallel()
	s := openIn(t, filepath.Join(t.TempDir(), "data"))
	const full = "2"
	for i, want := range []map[string]string{
		{"synchronous": full, "page_size": "4096", "foreign_keys": "1"},
		{"synchronous": full, "page_size": "4096"},
		{"synchronous": full, "page_size": "16384"},
	} {
		f := s.files[i]
		query := f.writer.QueryRowContext
		if f.schema.name == "ledger" {
			query = s.ledger.writer.conn.QueryRowContext // it holds the one connection
		}
		want["journal_mode"], want["cache_size"], want["mmap_size"] = "wal", "-65536", "268435456"
		for name, value := range want {
			var got string
			must(t, query(t.Context(), "PRAGMA "+name).Scan(&got))
			if got != value {
				t.Errorf("%s runs with %s = %s, want %s", f.schema.name, name, got, value)
			}
		}
		if _, err := f.reader.ExecContext(t.Context(), "DELETE FROM goose_db_version"); err == nil {
			t.Errorf("a reader of %s can write", f.schema.name)
		}
	}
}
