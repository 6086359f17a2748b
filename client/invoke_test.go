package client

import (
	"errors"
	"io"
	"net/http"
	"testing"
)

const summary = `{"request_id":"r","status_code":200,"error":"","error_type":"","duration_ms":1.25,"cold_start":true,` +
	`"init_ms":3,"billed_time_ms":2,"memory_used_mb":null,"version":4,"alias_used":null`

func TestInvokePassesTheBodyThrough(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		event, _ := io.ReadAll(r.Body)
		q := r.URL.Query()
		if r.Method != http.MethodPost || r.URL.Path != "/api/v1/functions/hello/invoke" || q.Get("qualifier") != "3" || q.Get("logs") != "true" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		answer(w, 200, "application/json", summary+`,"body":`+string(event)+`,"logs":["one"]}`)
	})
	const event = `{"n":12345678901234567890.10,"s":"<&>"}`
	got, err := c.Invoke(t.Context(), "hello", InvokeInput{Qualifier: "3", Event: []byte(event), Logs: true})
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Body) != event || got.DurationMS != 1.25 || got.MemoryUsedMB != nil || got.Version != 4 || len(got.Logs) != 1 {
		t.Errorf("got %+v with body %s", got, got.Body)
	}
}

func stream(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "text/event-stream" {
			answer(w, 200, "application/json", `{}`)
			return
		}
		answer(w, 200, "text/event-stream; charset=utf-8", text)
	}
}

func TestStreamEndsWithTheSummary(t *testing.T) {
	t.Parallel()
	c := serve(t, stream("data: 1\n\n: alive\n\ndata: {\"a\":\ndata: 2}\n\nevent: later\ndata: ignored\n\nevent: result\ndata: "+summary+"}\n\n"))
	var items []string
	got, err := c.InvokeStream(t.Context(), "hello", InvokeInput{}, func(data []byte) error {
		items = append(items, string(data))
		return nil
	})
	if err != nil || got.Version != 4 || len(items) != 2 || items[0] != "1" || items[1] != "{\"a\":\n2}" {
		t.Errorf("got %q, %+v, %v", items, got, err)
	}
}

func TestStreamThatBreaksOffIsNoSuccess(t *testing.T) {
	t.Parallel()
	ignore := func([]byte) error { return nil }
	c := serve(t, stream("data: 1\n\ndata: 2\n\n"))
	if _, err := c.InvokeStream(t.Context(), "hello", InvokeInput{}, ignore); !errors.Is(err, ErrTruncated) {
		t.Errorf("an end without a summary gave %v", err)
	}
	c = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, "text/event-stream", "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	if _, err := c.InvokeStream(t.Context(), "hello", InvokeInput{}, ignore); !errors.Is(err, ErrTruncated) {
		t.Errorf("an aborted stream gave %v", err)
	}
	enough := errors.New("enough")
	c = serve(t, stream("data: 1\n\nevent: result\ndata: {}\n\n"))
	if _, err := c.InvokeStream(t.Context(), "hello", InvokeInput{}, func([]byte) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("the consumer's error became %v", err)
	}
	c = serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, "application/json", "{}") })
	if _, err := c.InvokeStream(t.Context(), "hello", InvokeInput{}, ignore); err == nil {
		t.Error("an answer that is no stream passed as one")
	}
}
