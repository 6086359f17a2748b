package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/store"
	"nimbus/internal/testenv"
)

// TestDiskFull fills a real disk: writes are refused by name, reads go on, and the same store heals.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	disk := testenv.TinyDisk(t, 16<<20)
	s := openIn(t, filepath.Join(disk, "data"))
	ctx := t.Context()
	function, record, entry := sampleFunction("before"), sampleRecord(), sampleEntry()
	writes := map[string]func() error{
		"control": func() error { return s.Control().CreateFunction(ctx, sampleFunction("f"+nimbus.NewID().String())) },
		"records": func() error { return s.Records().Append(ctx, []nimbus.Invocation{sampleRecord()}) },
		"ledger":  func() error { _, err := s.Ledger().Append(ctx, sampleEntry()); return err },
	}
	reads := map[string]func() error{
		"control": func() error { _, err := s.Control().Function(ctx, function.ID); return err },
		"listing": func() error {
			_, err := s.Control().ListFunctions(ctx, store.FunctionQuery{Tenant: nimbus.DefaultTenant})
			return err
		},
		"records": func() error { _, err := s.Records().Invocation(ctx, record.ID); return err },
		"ledger":  func() error { _, err := s.Ledger().Entry(ctx, entry.ID); return err },
		"ping":    func() error { return s.Ping(ctx) },
	}
	must(t, s.Control().CreateFunction(ctx, function))
	must(t, s.Records().Append(ctx, []nimbus.Invocation{record}))
	_, err := s.Ledger().Append(ctx, entry)
	must(t, err)

	for range 2 { // it heals more than once
		filler := fill(t, disk)
		for name, write := range writes {
			untilRefused(t, name, write)
			if err := write(); nimbus.CodeOf(err) != nimbus.CodeInsufficientStorage {
				t.Errorf("a second write to %s on a full disk: %v", name, err)
			}
		}
		for name, read := range reads {
			if err := read(); err != nil {
				t.Errorf("read %s on a full disk: %v", name, err)
			}
		}
		wantCode(t, s.Snapshot(ctx, emptyDir(t, disk)), nimbus.CodeInsufficientStorage)
		must(t, os.Remove(filler))
		for name, write := range writes {
			if err := write(); err != nil {
				t.Errorf("write %s when there is room again: %v", name, err)
			}
		}
	}
	must(t, s.Close())
	s = openIn(t, filepath.Join(disk, "data"))
	for name, read := range reads {
		if err := read(); err != nil {
			t.Errorf("read %s after all of that: %v", name, err)
		}
	}
}

// TestOpenDiskFull: a store that can't be made says why.
func TestOpenDiskFull(t *testing.T) {
	t.Parallel()
	disk := testenv.TinyDisk(t, 1<<20)
	fill(t, disk)
	_, err := Open(t.Context(), Config{Dir: filepath.Join(disk, "data")})
	wantCode(t, err, nimbus.CodeInsufficientStorage)
}

// TestReopenDiskFull: here SQLite itself knows only of an I/O error.
func TestReopenDiskFull(t *testing.T) {
	t.Parallel()
	disk := testenv.TinyDisk(t, 4<<20)
	dir := filepath.Join(disk, "data")
	s := openIn(t, dir)
	f, r, e := seed(t, s)
	must(t, s.Close())
	filler := fill(t, disk)
	_, err := Open(t.Context(), Config{Dir: dir})
	wantCode(t, err, nimbus.CodeInsufficientStorage)
	must(t, os.Remove(filler))
	wantSeed(t, openIn(t, dir), f, r, e)
}

// TestLedgerRefusedIsNotStored: who was refused for want of room finds nothing stored, who was not finds it.
func TestLedgerRefusedIsNotStored(t *testing.T) {
	t.Parallel()
	disk := testenv.TinyDisk(t, 4<<20)
	s := openIn(t, filepath.Join(disk, "data"))
	type outcome struct {
		id  nimbus.ID
		err error
	}
	outcomes := make(chan outcome)
	const callers = 8
	deadline := time.Now().Add(20 * time.Second)
	for range callers {
		go func() {
			var err error
			for err == nil && time.Now().Before(deadline) {
				e := sampleEntry()
				_, err = s.Ledger().Append(t.Context(), e)
				outcomes <- outcome{e.ID, err}
			}
			outcomes <- outcome{}
		}()
	}
	var all []outcome
	for running := callers; running > 0; {
		if o := <-outcomes; o.id.IsZero() {
			running--
		} else {
			all = append(all, o)
		}
	}
	refused := 0
	for _, o := range all {
		_, err := s.Ledger().Entry(t.Context(), o.id)
		if o.err != nil {
			refused++
			wantCode(t, o.err, nimbus.CodeInsufficientStorage)
			wantCode(t, err, nimbus.CodeNotFound)
		} else if err != nil {
			t.Errorf("an accepted entry: %v", err)
		}
	}
	if refused != callers || refused == len(all) {
		t.Errorf("%d of %d appends were refused, want the last of each of %d callers", refused, len(all), callers)
	}
}

// fill takes all room of the disk and returns the file that does.
func fill(t *testing.T, disk string) string {
	t.Helper()
	path := filepath.Join(disk, "filler")
	f, err := os.Create(path)
	must(t, err)
	for _, size := range []int{1 << 20, 4096, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	must(t, f.Close())
	return path
}

// untilRefused writes until the room that the log already has is used up.
func untilRefused(t *testing.T, name string, write func() error) {
	t.Helper()
	for range 10_000 {
		if err := write(); err != nil {
			wantCode(t, err, nimbus.CodeInsufficientStorage)
			return
		}
	}
	t.Errorf("10,000 writes to %s went onto a full disk", name)
}
