package obs

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Follow yields every line q selects, then each new one as it comes, until ctx ends, the log is deleted or
// the store stops. Limit and Until play no part. A follower holds no buffer: one that falls behind reads from
// disk, and where lines were removed before it had read them it is told by a line of the platform's. An error
// is the last thing yielded.
func (s *LogStore) Follow(ctx context.Context, q LogQuery) iter.Seq2[LogLine, error] {
	q.Limit, q.Until = MaxLogLimit, time.Time{}
	return func(yield func(LogLine, error) bool) {
		from, err := q.start()
		if err != nil {
			yield(LogLine{}, err)
			return
		}
		f := s.function(q.Function)
		for {
			changed := f.watch() // before the look, so that nothing in between is missed
			v, err := s.view(ctx, f)
			if errors.Is(err, errLogDeleted) || ctx.Err() != nil {
				return
			}
			var found selection
			if err == nil {
				if first := v.first(); from != 0 && from < first && !yield(gap(&v), nil) {
					return
				}
				found, err = s.find(ctx, &v, &q, from)
			}
			if err != nil {
				if ctx.Err() == nil {
					yield(LogLine{}, err)
				}
				return
			}
			for _, line := range found.lines {
				if !yield(line, nil) {
					return
				}
			}
			if from = found.next; found.full {
				continue
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			case <-s.stopped:
				return
			}
		}
	}
}

// gap is the line that stands for lines a follower can't get any more.
func gap(v *view) LogLine {
	return LogLine{Seq: v.first() - 1, Time: time.Now().UTC().Truncate(time.Microsecond), Function: v.function,
		Stream: StreamPlatform, Text: "log lines are missing here: they were removed before they could be followed"}
}
