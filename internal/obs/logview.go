package obs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"

	"nimbus"
)

// view is what a log holds at one moment. Appending does not change it; retention may remove a segment under
// it, which then reads as empty.
type view struct {
	function  nimbus.ID
	segments  []segment
	writing   bool    // the last segment is being written to
	open      []chunk // its index, then
	tailFirst uint64  // number of the first line of tail
	tail      []LogLine
}

// view returns what a log holds; errLogDeleted when it was deleted.
func (s *LogStore) view(ctx context.Context, f *functionLog) (view, error) {
	select {
	case <-s.stopped:
		return view{}, nimbus.Errorf(nimbus.CodeUnavailable, "the log store is stopped")
	default:
	}
	if v, ok := f.view(); ok {
		return v, nil
	}
	if err := s.acquireLoaded(ctx, f); err != nil {
		return view{}, fmt.Errorf("read the log of %s: %w", f.id, err)
	}
	defer f.release()
	v, _ := f.view()
	return v, nil
}

// first returns the number of the oldest line.
func (v *view) first() uint64 {
	if len(v.segments) > 0 {
		return v.segments[0].first
	}
	return v.tailFirst
}

// end returns the number after the newest line's.
func (v *view) end() uint64 { return v.tailFirst + uint64(len(v.tail)) }

// segmentEnd returns the number after the last line's of segment i.
func (v *view) segmentEnd(i int) uint64 {
	if i+1 < len(v.segments) {
		return v.segments[i+1].first
	}
	return v.tailFirst
}

// index returns the chunks of segment i, none when it was removed.
func (v *view) index(i int) ([]chunk, error) {
	if v.writing && i == len(v.segments)-1 {
		return v.open, nil
	}
	chunks, err := readIndex(v.function, v.segments[i])
	return chunks, ignoreMissing(err)
}

// direction is the order in which chunks are visited.
type direction int

const (
	forward direction = iota
	backward
)

// content is what a chunk holds.
type content struct {
	first  uint64 // number of the first line
	end    uint64 // number after the last line's
	frames []byte // valid until the next content
}

// chunks yields the chunks of segment i in which q may find a line numbered from or above.
func (v *view) chunks(ctx context.Context, i int, q *LogQuery, from uint64, d direction) iter.Seq2[content, error] {
	return func(yield func(content, error) bool) {
		chunks, err := v.index(i)
		if err != nil {
			yield(content{}, fmt.Errorf("read the index of %s: %w", v.segments[i].path, err))
			return
		}
		var file *os.File
		defer func() {
			if file != nil {
				file.Close()
			}
		}()
		var buf []byte
		for n := range chunks {
			at := n
			if d == backward {
				at = len(chunks) - 1 - n
			}
			end := v.segmentEnd(i)
			if at+1 < len(chunks) {
				end = chunks[at+1].first
			}
			c := &chunks[at]
			if end <= from || !c.mayHold(q) {
				continue
			}
			if file == nil {
				if file, err = os.Open(v.segments[i].path); errors.Is(err, fs.ErrNotExist) {
					return
				}
			}
			if err == nil {
				err = ctx.Err()
			}
			if err == nil {
				buf = append(buf[:0], make([]byte, c.end-c.offset)...)
				_, err = file.ReadAt(buf, c.offset)
			}
			if err != nil {
				yield(content{}, fmt.Errorf("read a log segment: %w", err))
				return
			}
			if !yield(content{first: c.first, end: end, frames: buf}, nil) {
				return
			}
		}
	}
}
