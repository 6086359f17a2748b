package sqlite

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"nimbus/internal/store"
	"nimbus/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a store in a directory that is not there yet and closes it when the test ends.
func open(t testing.TB) *Store {
	t.Helper()
	return openIn(t, filepath.Join(t.TempDir(), "data #1?"))
}

func openIn(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
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
