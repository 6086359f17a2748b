package obs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// drainTimeout bounds the last writing, when the store stops.
const drainTimeout = 5 * time.Second

// Run writes lines to disk and removes old ones until ctx ends; then it writes what is left and closes the
// files. It is called once.
func (s *LogStore) Run(ctx context.Context) error {
	defer close(s.stopped)
	var retention sync.WaitGroup
	retention.Go(func() { s.retain(ctx) })
	s.writeUntil(ctx)
	retention.Wait()

	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err := s.flushAll(drain)
	if err != nil {
		s.log.LogAttrs(drain, slog.LevelError, "function logs were lost at stop",
			slog.Int64("bytes", s.pending.Load()), slog.Any("error", err))
	}
	return s.closeFiles(drain)
}

// writeUntil writes what is appended, some time's lines in one go, until ctx ends.
func (s *LogStore) writeUntil(ctx context.Context) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		pause := s.cfg.FlushInterval
		if failing {
			pause = s.cfg.RetryInterval
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		err := s.flushAll(ctx)
		switch {
		case err != nil && ctx.Err() == nil && !failing:
			failing = true
			s.log.LogAttrs(ctx, slog.LevelError, "function logs can't be written", slog.Any("error", err))
		case err == nil && failing:
			failing = false
			s.log.LogAttrs(ctx, slog.LevelInfo, "function logs can be written again")
		}
	}
}

// flushAll writes every line there is. What can't be written keeps waiting.
func (s *LogStore) flushAll(ctx context.Context) error {
	s.dirtyMu.Lock()
	dirty := s.dirty
	s.dirty = nil
	s.dirtyMu.Unlock()
	var failed error
	for _, f := range dirty {
		if err := s.flush(ctx, f); err != nil {
			failed = err // one speaks for all: they share a disk
			s.enqueue(f)
		}
	}
	return failed
}

// flush writes the lines of one function.
func (s *LogStore) flush(ctx context.Context, f *functionLog) error {
	err := s.acquireLoaded(ctx, f)
	if errors.Is(err, errLogDeleted) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.release()
	for {
		lines, next := s.takeWaiting(f)
		if len(lines) == 0 {
			return nil
		}
		if err := s.write(f, lines, next); err != nil {
			return fmt.Errorf("write the log of %s: %w", f.id, err)
		}
	}
}

// takeWaiting returns the lines that wait, which keep waiting until advance; without any, f leaves the
// writer's queue.
func (s *LogStore) takeWaiting(f *functionLog) ([]LogLine, uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) == 0 { // else a disk that stays full would gather notes
		s.pending.Add(f.noteDropped(time.Now().UTC().Truncate(time.Microsecond)))
	}
	f.queued = len(f.waiting) > 0
	return f.waiting, f.nextSeq
}

// write writes as many of the lines as go into one segment. The token is held.
func (s *LogStore) write(f *functionLog, lines []LogLine, next uint64) error {
	last, err := s.writable(f, lines[0].Time, next)
	if err != nil {
		return err
	}
	var (
		buf  []byte
		ends []int64
	)
	for i := range lines {
		if i > 0 && last.size+int64(len(buf)) >= s.cfg.SegmentBytes {
			break
		}
		buf = appendFrame(buf, &lines[i])
		ends = append(ends, last.size+int64(len(buf)))
	}
	if _, err := f.file.WriteAt(buf, last.size); err != nil {
		return errors.Join(err, f.file.Truncate(last.size))
	}
	s.grew(int64(len(buf)))
	s.pending.Add(-f.advance(ends))
	return nil
}

// advance accounts for the first len(ends) waiting lines being on disk, the frame of each ending there, and
// returns the memory they took.
func (f *functionLog) advance(ends []int64) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	last, freed := &f.segments[len(f.segments)-1], int64(0)
	for i, end := range ends {
		line := &f.waiting[i]
		f.index.add(f.nextSeq, last.size, end, line.Time.UnixMicro(), line.Invocation)
		last.size = end
		f.nextSeq++
		freed += lineBytes(line)
	}
	f.waiting = f.waiting[len(ends):]
	if len(f.waiting) == 0 {
		f.waiting = nil // let go of the memory
	}
	f.bytes -= freed
	return freed
}

// writable returns the segment to write to: the last, or a new one when that is full. The token is held.
func (s *LogStore) writable(f *functionLog, at time.Time, next uint64) (segment, error) {
	if f.file != nil {
		last := f.segments[len(f.segments)-1] // only who has the token changes it
		if last.size < s.cfg.SegmentBytes {
			return last, nil
		}
		s.seal(f, last)
	}
	file, made, err := createSegment(f.dir, f.id, at, next)
	if err != nil {
		return segment{}, err
	}
	s.grew(made.size)
	f.file = file
	f.mu.Lock()
	defer f.mu.Unlock()
	f.segments, f.index = append(f.segments, made), &indexBuilder{}
	return made, nil
}

// seal stores the index of a full segment and closes it. The token is held.
func (s *LogStore) seal(f *functionLog, last segment) {
	f.mu.Lock()
	chunks := f.index.finish()
	f.index = nil
	f.mu.Unlock()
	if err := errors.Join(writeIndex(last, chunks), f.file.Close()); err != nil {
		s.log.Warn("a log index was not stored; it is made again when needed", "function", f.id, "error", err)
	}
	f.file = nil
}

// acquireLoaded takes f's token and learns what is on disk.
func (s *LogStore) acquireLoaded(ctx context.Context, f *functionLog) error {
	if err := f.acquire(ctx); err != nil {
		return err
	}
	if err := f.load(time.Now()); err != nil {
		f.release()
		return err
	}
	if victim := s.opened.use(f); victim != nil {
		err := victim.unload()
		victim.release()
		if err != nil {
			s.log.Warn("a log file was not closed", "function", victim.id, "error", err)
		}
	}
	return nil
}

// grew accounts for bytes that were written.
func (s *LogStore) grew(bytes int64) {
	if s.onDisk.Add(bytes) > s.maxBytes.Load() {
		nudge(s.trim)
	}
}

// closeFiles closes every file.
func (s *LogStore) closeFiles(ctx context.Context) error {
	s.mu.RLock()
	all := slices.Collect(maps.Values(s.functions))
	s.mu.RUnlock()
	var errs []error
	for _, f := range all {
		if err := f.acquire(ctx); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, f.unload())
		f.release()
	}
	return errors.Join(errs...)
}
