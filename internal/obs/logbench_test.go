package obs

import (
	"log/slog"
	"testing"

	"nimbus"
)

func benchLogs(b *testing.B, cfg LogConfig) *LogStore {
	b.Helper()
	s, err := OpenLogStore(b.TempDir(), cfg, slog.New(slog.DiscardHandler), NewMetrics())
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkLogAppend(b *testing.B) {
	s := benchLogs(b, LogConfig{PendingBytes: nimbus.GiB, FunctionPendingBytes: nimbus.GiB})
	lines := numbered(nimbus.NewID(), 0, 1, nil)
	b.ReportAllocs()
	for b.Loop() {
		s.Append(lines...)
		if s.pending.Load() > nimbus.MiB {
			if err := s.flushAll(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkLogQueryInvocation finds the ten lines of one call among 500,000.
func BenchmarkLogQueryInvocation(b *testing.B) {
	const calls = 50_000
	s := benchLogs(b, LogConfig{PendingBytes: nimbus.GiB, FunctionPendingBytes: nimbus.GiB})
	function, ids := nimbus.NewID(), newIDs(calls)
	s.Append(numbered(function, 0, calls*10, ids)...)
	if err := s.flushAll(b.Context()); err != nil {
		b.Fatal(err)
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		list, err := s.Query(b.Context(), LogQuery{Function: function, Invocation: ids[i%calls]})
		if err != nil || len(list.Items) != 10 {
			b.Fatal(len(list.Items), err)
		}
		i += 7919
	}
}

func BenchmarkLogTail(b *testing.B) {
	s := benchLogs(b, LogConfig{PendingBytes: nimbus.GiB, FunctionPendingBytes: nimbus.GiB})
	function := nimbus.NewID()
	s.Append(numbered(function, 0, 500_000, nil)...)
	if err := s.flushAll(b.Context()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if cursor, err := s.Tail(b.Context(), LogQuery{Function: function, Limit: 100}); err != nil || cursor == "" {
			b.Fatal(cursor, err)
		}
	}
}
