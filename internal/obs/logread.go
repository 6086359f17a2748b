package obs

import (
	"cmp"
	"context"
	"errors"
	"math"

	"nimbus"
)

// Query returns the lines q selects, oldest first, those included that are not on disk yet. A query for a text
// reads a bounded part of the log: its page may have less than q.Limit lines, or none, and still a cursor to go on
// from.
func (s *LogStore) Query(ctx context.Context, q LogQuery) (nimbus.List[LogLine], error) {
	from, err := q.start()
	if err != nil {
		return nimbus.List[LogLine]{}, err
	}
	v, err := s.view(ctx, s.function(q.Function))
	if errors.Is(err, errLogDeleted) {
		return nimbus.List[LogLine]{}, nil
	}
	if err != nil {
		return nimbus.List[LogLine]{}, err
	}
	found, err := s.find(ctx, &v, &q, from)
	if err != nil {
		return nimbus.List[LogLine]{}, err
	}
	list := nimbus.List[LogLine]{Items: found.lines}
	if found.full {
		list.Next = cursorOf(found.next)
	}
	return list, nil
}

// Tail returns the LogQuery.Cursor from which the last q.Limit lines that q selects follow, "" when it selects
// none. A cursor in q makes no difference. For a text it looks back as far as one Query reads.
func (s *LogStore) Tail(ctx context.Context, q LogQuery) (cursor string, err error) {
	q.Cursor = ""
	if _, err := q.start(); err != nil {
		return "", err
	}
	v, err := s.view(ctx, s.function(q.Function))
	if errors.Is(err, errLogDeleted) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	missing := q.Limit
	count := func(lines []LogLine) (enough bool) {
		if len(lines) > 0 {
			n := min(missing, len(lines))
			cursor, missing = cursorOf(lines[len(lines)-n].Seq), missing-n
		}
		return missing == 0
	}
	last := selection{q: &q, limit: math.MaxInt}
	last.addTail(&v)
	enough, read := count(last.lines), 0
	for i := len(v.segments) - 1; i >= 0 && !enough; i-- {
		for c, err := range v.chunks(ctx, i, &q, 0, backward) {
			if err != nil {
				return "", err
			}
			part := selection{q: &q, limit: math.MaxInt}
			s.addChunk(&part, &v, c)
			if enough = count(part.lines); enough {
				break
			}
			if read += len(c.frames); q.Contains != "" && read >= s.cfg.SearchBytes {
				return cmp.Or(cursor, cursorOf(c.first)), nil
			}
		}
	}
	return cursor, nil
}

// find selects lines numbered from or above, up to q.Limit.
func (s *LogStore) find(ctx context.Context, v *view, q *LogQuery, from uint64) (selection, error) {
	found := selection{q: q, from: from, limit: q.Limit}
	read := 0
	for i := range v.segments {
		if v.segmentEnd(i) <= from {
			continue
		}
		for c, err := range v.chunks(ctx, i, q, from, forward) {
			if err != nil {
				return found, err
			}
			if s.addChunk(&found, v, c); found.full {
				return found, nil
			}
			if read += len(c.frames); q.Contains != "" && read >= s.cfg.SearchBytes {
				found.full, found.next = true, c.end
				return found, nil
			}
		}
	}
	found.addTail(v)
	return found, nil
}

// addChunk adds a chunk's lines. Behind damage the chunk is lost, the log goes on with the next one.
func (s *LogStore) addChunk(found *selection, v *view, c content) {
	if err := found.addFrames(v.function, c); err != nil {
		s.log.Warn("a function's log is damaged; lines are missing", "function", v.function, "from", c.first)
	}
}

// selection gathers lines that a query wants.
type selection struct {
	q     *LogQuery
	from  uint64
	limit int
	lines []LogLine
	full  bool   // there may be more than the lines
	next  uint64 // where to go on
}

// addFrames adds the lines of a chunk up to the limit; errTorn when it is damaged.
func (found *selection) addFrames(function nimbus.ID, c content) error {
	seq := c.first
	for rest := c.frames; len(rest) > 0; seq++ {
		f, n, err := decodeFrame(rest)
		if err != nil {
			return err
		}
		rest = rest[n:]
		if seq >= found.from && found.q.at(f.micros, f.invocation) && says(found.q, f.stream, f.text) && found.room(seq) {
			found.lines = append(found.lines, f.line(function, seq))
		}
		if found.full {
			return nil
		}
	}
	found.next = seq
	return nil
}

// addTail adds the lines in memory up to the limit.
func (found *selection) addTail(v *view) {
	for i := range v.tail {
		line, seq := v.tail[i], v.tailFirst+uint64(i)
		if seq >= found.from && found.q.at(line.Time.UnixMicro(), line.Invocation) && says(found.q, line.Stream, line.Text) && found.room(seq) {
			line.Seq = seq
			found.lines = append(found.lines, line)
		}
		if found.full {
			return
		}
	}
	found.next = v.end()
}

// room reports whether one more line may be added; one over the limit makes the selection full.
func (found *selection) room(seq uint64) bool {
	if len(found.lines) == found.limit {
		found.full, found.next = true, seq
		return false
	}
	return true
}
