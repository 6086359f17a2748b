package obs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"nimbus"
)

// functionLog is the log of one function: segments on disk, then lines in memory that are not yet there.
// Lines are numbered without gaps. What is on disk is read when it is first needed, and forgotten again when
// the files are closed.
type functionLog struct {
	id  nimbus.ID
	dir string

	// disk holds one token. Who has it, and nobody else, changes files, and the fields that say what is on
	// disk; those are guarded by mu as well, so that readers need not wait for the disk.
	disk chan struct{}
	file *os.File // the last segment, open for writing; nil = none. Only for who has the token.

	mu       sync.Mutex
	gone     bool // deleted
	loaded   bool // segments, index and nextSeq say what is on disk
	segments []segment
	index    *indexBuilder // of the last segment, when it is open
	nextSeq  uint64        // number of the first line that is not on disk
	waiting  []LogLine     // not on disk
	bytes    int64         // of waiting
	dropped  int           // lines since the last of waiting
	queued   bool          // the writer knows of it
	changed  chan struct{} // closed at the next change; nil = nobody waits for it
}

// errLogDeleted says that the log was deleted in the meantime.
var errLogDeleted = errors.New("the log was deleted")

func newFunctionLog(id nimbus.ID, dir string) *functionLog {
	f := &functionLog{id: id, dir: dir, disk: make(chan struct{}, 1)}
	f.disk <- struct{}{}
	return f
}

func (f *functionLog) acquire(ctx context.Context) error {
	select {
	case <-f.disk:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *functionLog) tryAcquire() bool {
	select {
	case <-f.disk:
		return true
	default:
		return false
	}
}

func (f *functionLog) release() { f.disk <- struct{}{} }

// lineBytes is what a waiting line takes, about.
func lineBytes(line *LogLine) int64 { return int64(len(line.Text)+len(line.Instance)) + 160 }

// append adds lines to those that wait, and returns how many found no room.
func (f *functionLog) append(s *LogStore, lines []LogLine) (dropped int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return 0
	}
	for i := range lines {
		line := boundLine(lines[i])
		size := lineBytes(&line)
		if f.bytes+size > s.cfg.FunctionPendingBytes || !s.reserve(size) {
			dropped++
			f.dropped++
			continue
		}
		s.pending.Add(f.noteDropped(line.Time))
		f.waiting = append(f.waiting, line)
		f.bytes += size
	}
	if !f.queued {
		f.queued = true
		s.enqueue(f)
	}
	f.announce()
	return dropped
}

// noteDropped says in the log that lines are missing here, and returns the memory that takes: it is granted
// without asking. mu is held.
func (f *functionLog) noteDropped(now time.Time) int64 {
	if f.dropped == 0 {
		return 0
	}
	line := LogLine{Time: now, Function: f.id, Stream: StreamPlatform,
		Text: fmt.Sprintf("%d log lines are missing here: they came faster than they could be written", f.dropped)}
	size := lineBytes(&line)
	f.waiting = append(f.waiting, line)
	f.bytes += size
	f.dropped = 0
	return size
}

// announce wakes who waits for a change. mu is held.
func (f *functionLog) announce() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// watch returns a channel that is closed at the next change.
func (f *functionLog) watch() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.changed
}

// bury marks the log as deleted and returns how many bytes were waiting.
func (f *functionLog) bury() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	bytes := f.bytes
	f.gone, f.waiting, f.bytes, f.dropped = true, nil, 0, 0
	f.announce()
	return bytes
}

// view returns what the log holds; false when that is not known yet, or the log was deleted.
func (f *functionLog) view() (view, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.loaded || f.gone {
		return view{}, false
	}
	// Lines that wait are never changed, so their array can be shared.
	v := view{function: f.id, tailFirst: f.nextSeq, tail: slices.Clip(f.waiting), segments: slices.Clone(f.segments)}
	if f.index != nil {
		v.writing, v.open = true, f.index.chunks()
	}
	return v, true
}

func (f *functionLog) isGone() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gone
}

func (f *functionLog) isLoaded() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.loaded
}

// load learns what is on disk and opens the last segment, cut after its last whole line. The token is held.
func (f *functionLog) load(now time.Time) error {
	if f.isGone() {
		return errLogDeleted
	}
	if f.isLoaded() {
		return nil
	}
	segments, err := listSegments(f.dir)
	if err != nil {
		return err
	}
	file, index, next, segments, err := openLast(f.id, segments)
	if err != nil {
		return err
	}
	if len(segments) == 0 && f.nextSeq == 0 {
		// Above every number that an earlier process gave, so that an old cursor does not hide new lines.
		next = uint64(now.UnixMicro())
	}
	f.file = file
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loaded, f.segments, f.index, f.nextSeq = true, segments, index, max(next, f.nextSeq)
	return nil
}

// unload closes the file and forgets what is on disk. The token is held.
func (f *functionLog) unload() error {
	f.mu.Lock()
	f.loaded, f.segments, f.index = false, nil, nil
	f.mu.Unlock()
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}
