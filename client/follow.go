package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"net/http"
	"time"
)

// FollowLogs yields the lines that q selects and then every new one, until ctx ends. A connection that
// breaks is made anew and goes on after the last line seen, with no line twice; interrupted, which may be
// nil, hears why and how long the wait is. Only a refusal of the server ends it with an error.
func (c *Client) FollowLogs(ctx context.Context, function string, q LogQuery, interrupted func(error, time.Duration)) iter.Seq2[LogLine, error] {
	return func(yield func(LogLine, error) bool) {
		f := follower{client: c, function: function, query: q}
		for failures := 0; ; failures++ {
			seen, err := f.connect(ctx, func(line LogLine) bool { return yield(line, nil) })
			if errors.Is(err, errStopped) || ctx.Err() != nil {
				return
			}
			if final(err) {
				yield(LogLine{}, err)
				return
			}
			if seen {
				failures = 0
			}
			wait := max(c.wait.after(failures), f.retry)
			if interrupted != nil {
				interrupted(err, wait)
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
	}
}

var errStopped = errors.New("stopped by the consumer")

// final reports whether trying again can't help.
func final(err error) bool {
	var refusal *Problem
	if errors.As(err, &refusal) {
		return !refusal.Temporary()
	}
	return errors.Is(err, errEventTooLong) || errors.Is(err, errBadLine)
}

var errBadLine = errors.New("the server sent a log line that can't be read")

// follower is where a follow stands between connections.
type follower struct {
	client   *Client
	function string
	query    LogQuery
	lastID   string
	retry    time.Duration
	last     time.Time       // of the newest line seen
	atLast   map[LogLine]int // the lines seen that have exactly that time, and how often
	repeats  map[LogLine]int // of these, what the server will send again
}

// connect follows until the connection ends and reports whether a line came.
func (f *follower) connect(ctx context.Context, yield func(LogLine) bool) (seen bool, err error) {
	q := f.query
	if !f.last.IsZero() {
		q.Since, q.Cursor = f.last, ""
		f.repeats = maps.Clone(f.atLast)
	}
	r := logsCall(f.function, q)
	r.query.Set("follow", "true")
	r.header = http.Header{"Accept": {"text/event-stream"}}
	if f.lastID != "" {
		r.header.Set("Last-Event-ID", f.lastID)
	}
	res, err := f.client.open(ctx, r)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	if err := f.client.mustStream(res); err != nil {
		return false, err
	}
	events := newEventReader(res.Body)
	for {
		e, err := events.next()
		if events.retry > 0 {
			f.retry = events.retry
		}
		if err != nil {
			return seen, f.client.streamError(ctx, err)
		}
		if e.name != "" && e.name != "message" && e.name != "log" {
			continue
		}
		var line LogLine
		if err := json.Unmarshal(e.data, &line); err != nil {
			return seen, fmt.Errorf("%w: %w", errBadLine, err)
		}
		f.lastID = events.lastID
		seen = true
		if f.fresh(line) && !yield(line) {
			return seen, errStopped
		}
	}
}

// fresh reports whether the line was not seen before a reconnection. Lines come in the order of time, and
// since is inclusive, so only those of the very last moment can come twice.
func (f *follower) fresh(line LogLine) bool {
	if f.repeats[line] > 0 {
		f.repeats[line]--
		return false
	}
	if line.Time.After(f.last) {
		f.last = line.Time
		f.atLast = map[LogLine]int{}
	}
	if line.Time.Equal(f.last) {
		f.atLast[line]++
	}
	return true
}

// backoff grows the wait between attempts and spreads it, so that many clients don't return at once.
type backoff struct {
	first time.Duration
	max   time.Duration
}

func defaultBackoff() backoff {
	return backoff{first: 250 * time.Millisecond, max: 10 * time.Second}
}

func (b backoff) after(failures int) time.Duration {
	wait := min(b.first<<min(failures, 16), b.max)
	return wait/2 + rand.N(wait/2+1)
}
