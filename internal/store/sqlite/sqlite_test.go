package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"nimbus"
	"nimbus/internal/store"
	"nimbus/internal/store/storetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirVar); dir != "" {
		crashChild(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

func TestControl(t *testing.T) {
	t.Parallel()
	storetest.Control(t, func(t *testing.T) store.Control { return open(t).Control() })
}

func TestRecords(t *testing.T) {
	t.Parallel()
	storetest.Records(t, func(t *testing.T) store.Records { return open(t).Records() })
}

func TestLedger(t *testing.T) {
	t.Parallel()
	storetest.Ledger(t, func(t *testing.T) store.Ledger { return open(t).Ledger() })
}

func TestReopen(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := openIn(t, dir)
	f, r, e := seed(t, s)
	must(t, s.Close())
	wantSeed(t, openIn(t, dir), f, r, e)
}

func TestClosed(t *testing.T) {
	t.Parallel()
	s := open(t)
	f, r, e := seed(t, s)
	must(t, s.Close())
	must(t, s.Close())
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"ping":           func() error { return s.Ping(ctx) },
		"snapshot":       func() error { return s.Snapshot(ctx, t.TempDir()) },
		"Function":       func() error { _, err := s.Control().Function(ctx, f.ID); return err },
		"DeleteFunction": func() error { return s.Control().DeleteFunction(ctx, f.ID) },
		"Invocation":     func() error { _, err := s.Records().Invocation(ctx, r.ID); return err },
		"records":        func() error { return s.Records().Append(ctx, []nimbus.Invocation{r}) },
		"Entry":          func() error { _, err := s.Ledger().Entry(ctx, e.ID); return err },
		"ledger":         func() error { _, err := s.Ledger().Append(ctx, sampleEntry()); return err },
	} {
		if err := call(); nimbus.CodeOf(err) != nimbus.CodeUnavailable {
			t.Errorf("%s of a closed store: %v, want code %s", name, err, nimbus.CodeUnavailable)
		}
	}
}

// TestCloseWhileAppending: whatever was accepted before the store closed is there afterwards, and everybody
// gets an answer.
func TestCloseWhileAppending(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := openIn(t, dir)
	var wg sync.WaitGroup
	accepted := make(chan nimbus.ID)
	for range 16 {
		wg.Go(func() {
			for {
				a, err := s.Ledger().Append(t.Context(), sampleEntry())
				if err != nil {
					wantCode(t, err, nimbus.CodeUnavailable)
					return
				}
				accepted <- a.ID
			}
		})
	}
	var ids []nimbus.ID
	for range 200 {
		ids = append(ids, <-accepted)
	}
	closed := make(chan error, 1)
	go func() {
		closed <- s.Close()
		wg.Wait()
		close(accepted)
	}()
	for id := range accepted {
		ids = append(ids, id)
	}
	must(t, <-closed)
	s = openIn(t, dir)
	for _, id := range ids {
		if _, err := s.Ledger().Entry(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
}

// TestCallerTurnsAway: a caller whom the writer has not let in yet may leave, and has left nothing.
func TestCallerTurnsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &ledgerWriter{door: make(chan *appending), stop: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := w.append(ctx, sampleEntry())
			left <- err
		}()
		synctest.Wait() // it stands at the door
		cancel()
		err := <-left
		wantCode(t, err, nimbus.CodeUnavailable)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v, want it to wrap context.Canceled", err)
		}
	})
}

// TestOldKeysGo: the table of idempotency keys doesn't grow for ever.
func TestOldKeysGo(t *testing.T) {
	t.Parallel()
	s := open(t)
	for i := range 40 {
		e := sampleEntry()
		e.IdempotencyKey = strconv.Itoa(i)
		if i >= 20 { // a day later
			e.CreatedAt = e.CreatedAt.Add(idempotencyWindow + time.Minute)
		}
		_, err := s.Ledger().Append(t.Context(), e)
		must(t, err)
	}
	var keys int
	must(t, s.ledger.file.reader.QueryRowContext(t.Context(), "SELECT count(*) FROM idempotency_keys").Scan(&keys))
	if keys != 20 {
		t.Errorf("%d keys are kept, want those 20 of the last day", keys)
	}
}

// open opens a store in a directory that is not there yet and closes it when the test ends.
func open(t testing.TB) *Store {
	t.Helper()
	return openIn(t, filepath.Join(t.TempDir(), "data #1?%41"))
}

func openIn(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Dir: dir})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// seed stores one of each and returns them.
func seed(t testing.TB, s *Store) (*nimbus.Function, nimbus.Invocation, *store.Entry) {
	t.Helper()
	f, r, e := sampleFunction("seed"), sampleRecord(), sampleEntry()
	must(t, s.Control().CreateFunction(t.Context(), f))
	must(t, s.Records().Append(t.Context(), []nimbus.Invocation{r}))
	_, err := s.Ledger().Append(t.Context(), e)
	must(t, err)
	return f, r, e
}

func wantSeed(t testing.TB, s *Store, f *nimbus.Function, r nimbus.Invocation, e *store.Entry) {
	t.Helper()
	_, err := s.Control().Function(t.Context(), f.ID)
	must(t, err)
	_, err = s.Records().Invocation(t.Context(), r.ID)
	must(t, err)
	_, err = s.Ledger().Entry(t.Context(), e.ID)
	must(t, err)
}

func sampleFunction(name string) *nimbus.Function {
	now := time.Now()
	return &nimbus.Function{ID: nimbus.NewID(), Tenant: nimbus.DefaultTenant, Namespace: nimbus.DefaultNamespace,
		Name: name, Status: nimbus.StatusActive, CreatedAt: now, UpdatedAt: now,
		Version: nimbus.Version{Number: 1, CreatedAt: now, Settings: nimbus.Settings{Tags: []string{"a"}}}}
}

func sampleRecord() nimbus.Invocation {
	return nimbus.Invocation{ID: nimbus.NewID(), Namespace: nimbus.DefaultNamespace, CreatedAt: time.Now(), Input: make([]byte, 4096)}
}

func sampleEntry() *store.Entry {
	now := time.Now()
	return &store.Entry{ID: nimbus.NewID(), Kind: "invocation", CreatedAt: now, DueAt: now, Event: make([]byte, 1024)}
}

func emptyDir(t testing.TB, parent string) string {
	t.Helper()
	dir, err := os.MkdirTemp(parent, "dir-*")
	must(t, err)
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantCode fails unless err is a *nimbus.Error of that code.
func wantCode(t testing.TB, err error, code nimbus.Code) {
	t.Helper()
	var e *nimbus.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error is %v, want one of code %s", err, code)
	}
}
