package sqlite

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/store"
)

// BenchmarkLedgerAppend has 64 callers append entries with an event of 1 KB. Beside it stands what one fsync
// of a log of that size costs on the same disk: BenchmarkFsync.
func BenchmarkLedgerAppend(b *testing.B) {
	const callers = 64
	s := open(b)
	event := make([]byte, 1024)
	_, _ = rand.Read(event)
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for caller := range callers {
		wg.Go(func() {
			for n := caller; n < b.N; n += callers {
				now := time.Now()
				e := store.Entry{ID: nimbus.NewID(), Kind: "invocation", Tenant: "default", Namespace: "default",
					FunctionID: nimbus.ID{1}, Attempt: 1, DueAt: now, CreatedAt: now, Event: event}
				if _, err := s.ledger.Append(b.Context(), &e); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkFsync writes 64 KB over an allocated file and syncs, as a commit of 64 entries does.
func BenchmarkFsync(b *testing.B) {
	const commit, file = 64 << 10, 16 << 20
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, file)); err != nil {
		b.Fatal(err)
	}
	data := make([]byte, commit)
	n := int64(0)
	for b.Loop() {
		if _, err := f.WriteAt(data, n*commit%file); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		n++
	}
}
