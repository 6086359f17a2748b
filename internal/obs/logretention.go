package obs

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"nimbus"
)

// retentionInterval is how often old lines are looked for.
const retentionInterval = time.Hour

// stored is a segment and its index on disk.
type stored struct {
	function nimbus.ID
	path     string
	bytes    int64
	written  time.Time // last
}

// retain removes what is too old, now and every hour, and what is too much, as soon as it is.
func (s *LogStore) retain(ctx context.Context) {
	ticker := time.NewTicker(retentionInterval)
	defer ticker.Stop()
	for {
		if err := s.enforce(ctx, time.Now()); err != nil && ctx.Err() == nil {
			s.log.LogAttrs(ctx, slog.LevelError, "old function logs were not removed", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.trim:
		}
	}
}

// SetRetention changes how long lines are kept, and how much of them.
func (s *LogStore) SetRetention(maxAge time.Duration, maxBytes int64) {
	s.maxAge.Store(int64(maxAge))
	s.maxBytes.Store(maxBytes)
	select {
	case s.trim <- struct{}{}:
	default: // it is to be looked at already
	}
}

// enforce removes the segments that were last written before MaxAge, and the oldest ones while all together
// take more than MaxBytes.
func (s *LogStore) enforce(ctx context.Context, now time.Time) error {
	segments, err := s.stored()
	if err != nil {
		return err
	}
	var total int64
	for i := range segments {
		total += segments[i].bytes
	}
	slices.SortFunc(segments, func(a, b stored) int { return a.written.Compare(b.written) })
	target := s.maxBytes.Load()
	if total > target {
		target -= target / 10 // room to grow, else every write would come here
	}
	limit := now.Add(-time.Duration(s.maxAge.Load()))
	for i := range segments {
		g := &segments[i]
		if !g.written.Before(limit) && total <= target {
			break
		}
		if err := s.remove(ctx, g); err != nil {
			return err
		}
		total -= g.bytes
	}
	s.onDisk.Store(total)
	return nil
}

// stored lists every segment of every function.
func (s *LogStore) stored() ([]stored, error) {
	var all []stored
	dirs, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		id, err := nimbus.ParseID(dir.Name())
		if err != nil {
			continue
		}
		files, err := os.ReadDir(filepath.Join(s.dir, dir.Name()))
		if err := ignoreMissing(err); err != nil {
			return nil, err
		}
		for _, file := range files {
			if !strings.HasSuffix(file.Name(), segmentSuffix) {
				continue
			}
			g := segment{path: filepath.Join(s.dir, dir.Name(), file.Name())}
			info, err := os.Stat(g.path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			found := stored{function: id, path: g.path, bytes: info.Size(), written: info.ModTime()}
			if info, err := os.Stat(g.indexPath()); err == nil {
				found.bytes += info.Size()
			}
			all = append(all, found)
		}
	}
	return all, nil
}

// remove deletes a segment, and its function's directory with the last one.
func (s *LogStore) remove(ctx context.Context, g *stored) error {
	f := s.function(g.function)
	if err := f.acquire(ctx); err != nil {
		return err
	}
	defer f.release()
	if info, err := os.Stat(g.path); err == nil && info.ModTime().After(g.written) {
		return nil // it is no longer the oldest
	}
	closeErr := f.forget(g.path)
	err := errors.Join(closeErr, ignoreMissing(os.Remove(g.path)),
		ignoreMissing(os.Remove(segment{path: g.path}.indexPath())))
	_ = os.Remove(f.dir) // works only when it is empty, as it should
	return err
}

// forget takes a segment off the log. The token is held.
func (f *functionLog) forget(path string) error {
	f.mu.Lock()
	at := slices.IndexFunc(f.segments, func(g segment) bool { return g.path == path })
	last := at >= 0 && at == len(f.segments)-1
	if at >= 0 {
		f.segments = slices.Delete(slices.Clone(f.segments), at, at+1)
	}
	if last {
		f.index = nil
	}
	f.mu.Unlock()
	if !last || f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}
