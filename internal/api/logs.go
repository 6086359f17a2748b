package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"nimbus"
	"nimbus/internal/obs"
)

// keepAlive is how long a followed log may say nothing before a comment shows that it lives.
const keepAlive = 15 * time.Second

// logLineJSON is one line a function printed.
type logLineJSON struct {
	Time         time.Time `json:"time"`
	Stream       string    `json:"stream" enum:"stdout,stderr,platform" doc:"platform: the reason a call ended, a stack."`
	Text         string    `json:"text"`
	InvocationID string    `json:"invocation_id,omitempty" doc:"Absent when it was printed outside a call."`
	InstanceID   string    `json:"instance_id,omitempty"`
	Version      int64     `json:"version"`
	Truncated    bool      `json:"truncated,omitempty" doc:"The line was longer than the bound."`
}

func newLogLineJSON(l obs.LogLine) logLineJSON {
	return logLineJSON{Time: l.Time.UTC(), Stream: l.Stream, Text: l.Text, InvocationID: l.Invocation.String(),
		InstanceID: l.Instance, Version: l.Version, Truncated: l.Truncated}
}

// logs answers with a page of a function's lines, or with every line as it comes. The id of each event is the
// cursor after its line.
func (a *api) logs(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	follow, err := flagOf(r, "follow")
	if err != nil {
		return err
	}
	q, err := a.logQuery(r, p)
	if err != nil {
		return err
	}
	if follow && !q.Until.IsZero() {
		var invalid nimbus.Invalid
		invalid.Add("until", "can't be followed to: leave it out, or follow")
		return invalid.Err()
	}
	if follow && r.Method != http.MethodHead {
		return a.followLogs(w, r, q)
	}
	list, err := a.Logs.Query(r.Context(), q)
	if err != nil {
		return err
	}
	return writeList(w, list, newLogLineJSON)
}

// logQuery reads what lines are asked for. That the principal may read them follows from its being shown the
// function.
func (a *api) logQuery(r *http.Request, p nimbus.Principal) (obs.LogQuery, error) {
	ref, err := refOf(r)
	if err != nil {
		return obs.LogQuery{}, err
	}
	page, err := pageOf(r)
	if err != nil {
		return obs.LogQuery{}, err
	}
	span, err := periodOf(r, time.Now())
	if err != nil {
		return obs.LogQuery{}, err
	}
	q := obs.LogQuery{Since: span.since, Until: span.until, Limit: page.Limit, Cursor: page.Cursor}
	if q.Cursor == "" {
		q.Cursor = r.Header.Get("Last-Event-ID") // an event stream that was interrupted goes on
	}
	q.Contains = r.URL.Query().Get("contains")
	if q.Stream, err = choiceOf(r, "stream", obs.LogStreams()); err != nil {
		return q, err
	}
	if text := r.URL.Query().Get("invocation"); text != "" {
		if q.Invocation, err = nimbus.ParseID(text); err != nil {
			var invalid nimbus.Invalid
			invalid.Add("invocation", "must be the id of an invocation")
			return q, invalid.Err()
		}
	}
	f, err := a.Functions.Get(r.Context(), p, ref)
	if err != nil {
		return q, err
	}
	q.Function = f.ID
	return q, a.startAtTail(r, &q)
}

// startAtTail has a query begin with the last lines, if that is asked for. A stream that goes on after an
// interruption has had them.
func (a *api) startAtTail(r *http.Request, q *obs.LogQuery) error {
	n, err := countOf(r, "tail", obs.MaxLogLimit)
	if err != nil || n == 0 {
		return err
	}
	if r.URL.Query().Has("cursor") {
		var invalid nimbus.Invalid
		invalid.Add("tail", "can't be given together with cursor")
		return invalid.Err()
	}
	if q.Cursor != "" {
		return nil
	}
	last := *q
	last.Limit = n
	q.Cursor, err = a.Logs.Tail(r.Context(), last)
	return err
}

// followLogs sends lines as Server-Sent Events until the client goes or the server stops.
func (a *api) followLogs(w http.ResponseWriter, r *http.Request, q obs.LogQuery) error {
	ctx, cancel := context.WithCancel(r.Context())
	var reader sync.WaitGroup
	defer reader.Wait()
	defer cancel()

	type next struct {
		line obs.LogLine
		err  error
	}
	lines := make(chan next)
	reader.Go(func() {
		defer close(lines)
		for line, err := range a.Logs.Follow(ctx, q) {
			select {
			case lines <- next{line, err}:
			case <-ctx.Done():
				return
			}
		}
	})

	s := &eventStream{w: w, flush: http.NewResponseController(w).Flush}
	s.begin()
	if err := s.ping(); err != nil { // the headers go out though no line has come
		return a.brokenOff(r, err)
	}
	quiet := time.NewTicker(keepAlive)
	defer quiet.Stop()
	for {
		select {
		case n, more := <-lines:
			if !more {
				return nil
			}
			if n.err != nil {
				return a.brokenOff(r, n.err)
			}
			data, err := json.Marshal(newLogLineJSON(n.line))
			if err != nil {
				return a.brokenOff(r, fmt.Errorf("encode log line: %w", err))
			}
			if err := s.send(event{id: n.line.Cursor(), data: data}); err != nil {
				return a.brokenOff(r, err)
			}
		case <-quiet.C:
			if err := s.ping(); err != nil {
				return a.brokenOff(r, err)
			}
		case <-a.cfg.Stopping:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// brokenOff ends an answer that has begun. It has the result of a handler, and never returns one.
func (a *api) brokenOff(r *http.Request, err error) error {
	a.problems.Abort(r, err)
	return err
}
