package obs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"nimbus"
)

// LogConfig bounds what a LogStore keeps. Zero fields have defaults.
type LogConfig struct {
	MaxAge               time.Duration // of a line on disk; 0 = 72 h
	MaxBytes             int64         // on disk, of all functions together; 0 = 2 GiB
	SegmentBytes         int64         // of one file; 0 = 4 MiB
	PendingBytes         int64         // in memory, not yet on disk; 0 = 64 MiB
	FunctionPendingBytes int64         // the same for one function; 0 = 8 MiB
	OpenFunctions        int           // whose files are held open; 0 = 128
	FlushInterval        time.Duration // how long lines are gathered for one write; 0 = 50 ms
	RetryInterval        time.Duration // after a write that failed; 0 = 1 s
	SearchBytes          int           // that one query for a text reads; 0 = 64 MiB
}

func (c LogConfig) withDefaults() LogConfig {
	return LogConfig{
		MaxAge:               orDefault(c.MaxAge, 72*time.Hour),
		MaxBytes:             orDefault(c.MaxBytes, 2*nimbus.GiB),
		SegmentBytes:         orDefault(c.SegmentBytes, 4*nimbus.MiB),
		PendingBytes:         orDefault(c.PendingBytes, 64*nimbus.MiB),
		FunctionPendingBytes: orDefault(c.FunctionPendingBytes, 8*nimbus.MiB),
		OpenFunctions:        orDefault(c.OpenFunctions, 128),
		FlushInterval:        orDefault(c.FlushInterval, 50*time.Millisecond),
		RetryInterval:        orDefault(c.RetryInterval, time.Second),
		SearchBytes:          orDefault(c.SearchBytes, int(64*nimbus.MiB)),
	}
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// LogStore keeps what functions print: a directory a function, with segment files and an index beside each.
// Lines are readable from the moment they are appended; Run writes them to disk soon after, without fsync: a
// power cut may take the last of them. Safe for concurrent use.
type LogStore struct {
	dir string
	cfg LogConfig

	maxAge   atomic.Int64 // time.Duration
	maxBytes atomic.Int64
	log      *slog.Logger
	metrics  *Metrics

	pending atomic.Int64  // bytes of lines not yet on disk
	wake    chan struct{} // there are lines to write
	trim    chan struct{} // there is too much on disk
	onDisk  atomic.Int64  // bytes, as far as known
	stopped chan struct{} // closed when Run has returned

	mu        sync.RWMutex
	functions map[nimbus.ID]*functionLog

	dirtyMu sync.Mutex
	dirty   []*functionLog // with lines to write

	opened openSet
}

// OpenLogStore returns the store of that directory, which is made if it isn't there. Nothing of it is read
// until a function's log is needed.
func OpenLogStore(dir string, cfg LogConfig, log *slog.Logger, m *Metrics) (*LogStore, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the log store: %w", err)
	}
	cfg = cfg.withDefaults()
	s := &LogStore{
		dir: dir, cfg: cfg, log: log, metrics: m,
		wake: make(chan struct{}, 1), trim: make(chan struct{}, 1), stopped: make(chan struct{}),
		functions: make(map[nimbus.ID]*functionLog),
		opened:    openSet{max: cfg.OpenFunctions},
	}
	s.maxAge.Store(int64(cfg.MaxAge))
	s.maxBytes.Store(cfg.MaxBytes)
	return s, nil
}

// Append adds lines to the logs of their functions. It never waits for the disk. A line that finds the
// memory for unwritten lines full is dropped and counted; the log says so where it is missing.
func (s *LogStore) Append(lines ...LogLine) {
	select {
	case <-s.stopped:
		s.metrics.LogLinesDropped.Add(float64(len(lines)))
		return
	default:
	}
	for len(lines) > 0 {
		same := 1
		for same < len(lines) && lines[same].Function == lines[0].Function {
			same++
		}
		f := s.function(lines[0].Function)
		dropped := f.append(s, lines[:same])
		if dropped > 0 {
			s.metrics.LogLinesDropped.Add(float64(dropped))
		}
		lines = lines[same:]
	}
}

// DeleteFunction removes the function's log.
func (s *LogStore) DeleteFunction(ctx context.Context, id nimbus.ID) error {
	f := s.function(id)
	if err := f.acquire(ctx); err != nil {
		return fmt.Errorf("delete the log of %s: %w", id, err)
	}
	defer f.release()
	s.pending.Add(-f.bury())
	s.opened.remove(f)
	err := errors.Join(f.unload(), os.RemoveAll(f.dir))
	s.mu.Lock()
	if s.functions[id] == f {
		delete(s.functions, id)
	}
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("delete the log of %s: %w", id, err)
	}
	return nil
}

// function returns the log of a function, unread until it is needed.
func (s *LogStore) function(id nimbus.ID) *functionLog {
	s.mu.RLock()
	f := s.functions[id]
	s.mu.RUnlock()
	if f != nil {
		return f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f = s.functions[id]; f == nil {
		f = newFunctionLog(id, filepath.Join(s.dir, id.String()))
		s.functions[id] = f
	}
	return f
}

// reserve takes memory for unwritten lines, or reports that there is none left.
func (s *LogStore) reserve(bytes int64) bool {
	if s.pending.Add(bytes) <= s.cfg.PendingBytes {
		return true
	}
	s.pending.Add(-bytes)
	return false
}

// enqueue tells the writer that f has lines to write.
func (s *LogStore) enqueue(f *functionLog) {
	s.dirtyMu.Lock()
	s.dirty = append(s.dirty, f)
	s.dirtyMu.Unlock()
	nudge(s.wake)
}

// nudge wakes the receiver, who may be awake already.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
