package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// logEvent is a log line as an event.
func logEvent(id int, text string) string {
	return fmt.Sprintf("id: %d\ndata: {\"time\":\"2026-01-02T03:04:05Z\",\"stream\":\"stdout\",\"text\":%q,\"version\":1}\n\n", id, text)
}

func TestFollowGoesOnAfterABreak(t *testing.T) {
	t.Parallel()
	connection := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("follow") != "true" || q.Get("invocation") != "i" {
			t.Errorf("query %v", q)
		}
		connection++
		switch connection {
		case 1:
			if r.Header.Get("Last-Event-ID") != "" || q.Get("cursor") != "then" {
				t.Errorf("the first connection goes on after %q, %q", r.Header.Get("Last-Event-ID"), q.Get("cursor"))
			}
			answer(w, 200, "text/event-stream", logEvent(1, "a")+": alive\n\n"+logEvent(2, "b")+logEvent(3, "b"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case 2:
			answer(w, 503, "application/problem+json", `{"status":503,"code":"unavailable","detail":"stopping"}`)
		case 3:
			answer(w, 502, "text/html", "<html>")
		case 4:
			if r.Header.Get("Last-Event-ID") != "3" || q.Has("cursor") {
				t.Errorf("it goes on after %q, %q", r.Header.Get("Last-Event-ID"), q.Get("cursor"))
			}
			answer(w, 200, "text/event-stream", logEvent(4, "c")+logEvent(5, "d"))
		default:
			answer(w, 404, "application/problem+json", `{"status":404,"code":"not_found","detail":"gone"}`)
		}
	})
	var got []string
	var last error
	breaks := 0
	for line, err := range c.FollowLogs(t.Context(), "f", LogQuery{Invocation: "i", Cursor: "then"}, func(error, time.Duration) { breaks++ }) {
		if err != nil {
			last = err
			break
		}
		got = append(got, line.Text)
	}
	if diff := cmp.Diff(strings.Fields("a b b c d"), got); diff != "" {
		t.Error(diff)
	}
	if refusal, ok := errors.AsType[*Problem](last); !ok || refusal.Code != CodeNotFound {
		t.Errorf("it ended with %v", last)
	}
	if breaks != 4 {
		t.Errorf("%d interruptions were told", breaks)
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		answer(w, 200, "text/event-stream", logEvent(1, "a"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	lines := 0
	for _, err := range c.FollowLogs(ctx, "f", LogQuery{}, nil) {
		if err != nil {
			t.Errorf("got %v", err)
		}
		lines++
		stop()
	}
	if lines != 1 {
		t.Errorf("%d lines", lines)
	}
}

func TestFollowStopsWhereItsConsumerDoes(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, "text/event-stream", logEvent(1, "a")+logEvent(2, "b"))
	})
	lines := 0
	for range c.FollowLogs(t.Context(), "f", LogQuery{}, nil) {
		lines++
		break
	}
	if lines != 1 {
		t.Errorf("%d lines", lines)
	}
}

func TestFollowRefusesGarbage(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, "text/event-stream", "data: {\n\n") })
	for _, err := range c.FollowLogs(t.Context(), "f", LogQuery{}, nil) {
		if !errors.Is(err, errBadLine) {
			t.Errorf("got %v", err)
		}
	}
}

func TestBackoffGrowsToItsBound(t *testing.T) {
	t.Parallel()
	b := backoff{first: 100 * time.Millisecond, max: time.Second}
	for failures, most := range map[int]time.Duration{0: 100 * time.Millisecond, 1: 200 * time.Millisecond, 3: 800 * time.Millisecond, 4: time.Second, 1000: time.Second} {
		for range 100 {
			if got := b.after(failures); got < most/2 || got > most {
				t.Fatalf("after %d failures it waits %s, want %s to %s", failures, got, most/2, most)
			}
		}
	}
}
