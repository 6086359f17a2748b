package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"time"
)

// FollowLogs yields the lines that q selects and then every new one, until ctx ends. A connection that
// breaks is made anew and goes on after the last line seen, with none lost and none twice; interrupted, which may be
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
	lastID   string        // of the newest line seen; the server goes on after it
	retry    time.Duration // the wait the server wishes for
}

// connect follows until the connection ends and reports whether a line came.
func (f *follower) connect(ctx context.Context, yield func(LogLine) bool) (seen bool, err error) {
	r := logsCall(f.function, f.query)
	r.query.Set("follow", "true")
	r.header = http.Header{"Accept": {"text/event-stream"}}
	if f.lastID != "" {
		r.query.Del("cursor")
		r.query.Del("tail")
		r.header["Last-Event-Id"] = []string{f.lastID}
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
		f.retry = max(f.retry, events.retry)
		if err != nil {
			return seen, f.client.streamError(ctx, err)
		}
		if e.name != "" && e.name != "message" {
			continue
		}
		var line LogLine
		if err := json.Unmarshal(e.data, &line); err != nil {
			return seen, fmt.Errorf("%w: %w", errBadLine, err)
		}
		f.lastID = events.lastID
		seen = true
		if !yield(line) {
			return seen, errStopped
		}
	}
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
