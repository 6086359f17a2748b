package client

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func readEvents(r *eventReader) (events []string, err error) {
	for {
		e, err := r.next()
		if err != nil {
			return events, err
		}
		events = append(events, e.name+"|"+string(e.data))
	}
}

func TestEventsAreRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		stream string
		want   []string
		lastID string
		retry  time.Duration
	}{
		"one":                  {stream: "data: a\n\n", want: []string{"|a"}},
		"lines join":           {stream: "data: a\ndata: b\n\n", want: []string{"|a\nb"}},
		"no space":             {stream: "data:a\n\ndata:  b\n\n", want: []string{"|a", "| b"}},
		"named":                {stream: "event: result\ndata: {}\n\ndata: x\n\n", want: []string{"result|{}", "|x"}},
		"carriage returns":     {stream: "data: a\r\n\r\n", want: []string{"|a"}},
		"comments":             {stream: ": keep-alive\n\ndata: a\n: more\n\n", want: []string{"|a"}},
		"byte order mark":      {stream: "\ufeffdata: a\n\n", want: []string{"|a"}},
		"empty data":           {stream: "data\n\ndata:\n\n", want: []string{"|", "|"}},
		"without data":         {stream: "event: x\n\ndata: a\n\n", want: []string{"|a"}},
		"cut off":              {stream: "data: a\n\ndata: b\n", want: []string{"|a"}},
		"id and retry":         {stream: "id: 7\nretry: 1500\ndata: a\n\n", want: []string{"|a"}, lastID: "7", retry: 1500 * time.Millisecond},
		"id with NUL, bad num": {stream: "id: 7\x00\nretry: soon\nretry: -1\ndata: a\n\n", want: []string{"|a"}},
		"unknown field":        {stream: "colour: red\ndata: a\n\n", want: []string{"|a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newEventReader(iotest.OneByteReader(strings.NewReader(tt.stream)))
			got, err := readEvents(r)
			if !errors.Is(err, io.EOF) {
				t.Errorf("ended with %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || r.lastID != tt.lastID || r.retry != tt.retry {
				t.Errorf("id %q, retry %s, %s", r.lastID, r.retry, diff)
			}
		})
	}
}

func TestLongEventIsWhole(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 6<<20)
	got, err := readEvents(newEventReader(strings.NewReader("data: " + long + "\n\ndata: y\n\n")))
	if !errors.Is(err, io.EOF) || len(got) != 2 || got[0] != "|"+long || got[1] != "|y" {
		t.Errorf("%d events, %v", len(got), err)
	}
}

// endless gives one line that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestEndlessEventIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := readEvents(newEventReader(endless{})); !errors.Is(err, errEventTooLong) {
		t.Errorf("got %v", err)
	}
}

func FuzzEventReader(f *testing.F) {
	for _, seed := range []string{"data: a\n\n", "event: x\r\ndata:\r\n\r\n", ":\n\n\nid:1\nretry:2\ndata", "\ufeff\n", "data: a\ndata: b\n\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stream string) {
		whole, err := readEvents(newEventReader(strings.NewReader(stream)))
		if !errors.Is(err, io.EOF) {
			t.Fatalf("ended with %v", err)
		}
		// How the bytes are cut into reads must not matter.
		pieces, _ := readEvents(newEventReader(iotest.OneByteReader(strings.NewReader(stream))))
		if diff := cmp.Diff(whole, pieces); diff != "" {
			t.Error(diff)
		}
		for _, e := range whole {
			if strings.Contains(strings.SplitN(e, "|", 2)[0], "\n") {
				t.Errorf("an event's name spans lines: %q", e)
			}
		}
	})
}
