package api

import (
	"net/http"
	"strconv"
	"strings"

	"nimbus"
	"nimbus/internal/invoke"
	"nimbus/internal/jsontext"
	"nimbus/internal/obs"
	"nimbus/internal/transport"
)

// invoke answers 200 whenever user code came to an outcome, and says in status_code which.
func (a *api) invoke(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	namespace, err := namespaceOf(r)
	if err != nil {
		return err
	}
	logs, err := wantsLogs(r)
	if err != nil {
		return err
	}
	qualifier := ""
	if r.URL.RawQuery != "" {
		qualifier = r.URL.Query().Get("qualifier")
	}
	target, err := a.Invoker.Resolve(r.Context(), p, namespace, r.PathValue("id"), qualifier)
	if err != nil {
		return err
	}
	event, err := transport.ReadBody(w, r, a.cfg.Limits.Event)
	if err != nil {
		return err
	}
	if err := transport.CheckEvent(event); err != nil {
		return err
	}
	known := obs.RequestFrom(r.Context())
	req := &invoke.Request{
		ID:          known.ID,
		Arrived:     known.Arrived,
		Trigger:     nimbus.TriggerHTTP,
		Event:       event,
		Traceparent: known.Traceparent,
		WantLogs:    logs,
	}
	if strings.Contains(r.Header.Get("Accept"), mediaEvents) {
		return a.invokeStreamed(w, r, p, target, req)
	}
	res, err := a.Invoker.Invoke(r.Context(), p, target, req)
	if err != nil {
		return err
	}
	transport.SetOutcome(w.Header(), res)
	a.writeResult(w, res)
	res.Written()
	return nil
}

// wantsLogs reports whether the answer is to have the call's log lines.
func wantsLogs(r *http.Request) (bool, error) {
	if strings.EqualFold(r.Header.Get("X-Nimbus-Log"), "tail") {
		return true, nil
	}
	if r.URL.RawQuery == "" {
		return false, nil
	}
	return flagOf(r, "logs")
}

// copiedBody is how long a body may be to be copied between the head and the tail of its answer; a longer
// one is written by itself.
const copiedBody = 16 << 10

// maxScratch is what an answer may leave behind in the pool: logs can be long.
const maxScratch = 64 << 10

// writeResult answers with the outcome. It is the hot path: no reflection, and the handler's JSON goes
// through as it is.
func (a *api) writeResult(w http.ResponseWriter, res *invoke.Result) {
	scratch := a.answers.Get().(*[]byte)
	defer a.answers.Put(scratch)
	body := res.Body
	if len(body) == 0 {
		body = []byte("null")
	}
	b := appendResultHead((*scratch)[:0], res)
	b = append(b, `,"body":`...)
	head := len(b)
	if len(body) <= copiedBody {
		b = append(b, body...)
	}
	tail := len(b)
	b = appendResultTail(b, res)
	b = append(b, '\n')
	if cap(b) <= maxScratch {
		*scratch = b
	}

	h := w.Header()
	h.Set("Content-Type", mediaJSON)
	if tail > head {
		h.Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = w.Write(b) // the client is gone when this fails
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(b)+len(body)))
	for _, part := range [][]byte{b[:head], body, b[tail:]} {
		if _, err := w.Write(part); err != nil {
			return
		}
	}
}

// appendResultHead appends what comes before the body, and opens the object.
func appendResultHead(b []byte, res *invoke.Result) []byte {
	b = append(b, `{"request_id":"`...)
	b, _ = res.ID.AppendText(b) // it has no way to fail
	b = append(b, `","status_code":`...)
	return strconv.AppendInt(b, int64(res.StatusCode), 10)
}

// appendResultTail appends what comes after the body, and closes the object.
func appendResultTail(b []byte, res *invoke.Result) []byte {
	b = append(b, `,"error":`...)
	b = jsontext.AppendNullable(b, res.Error)
	b = append(b, `,"error_type":`...)
	b = jsontext.AppendNullable(b, res.ErrorType)
	b = append(b, `,"duration_ms":`...)
	b = jsontext.AppendMillis(b, res.Duration)
	b = append(b, `,"cold_start":`...)
	b = strconv.AppendBool(b, res.ColdStart)
	b = append(b, `,"init_ms":`...)
	b = jsontext.AppendMillis(b, res.Init)
	b = append(b, `,"billed_time_ms":`...)
	b = jsontext.AppendMillis(b, res.Billed)
	b = append(b, `,"memory_used_mb":`...)
	if mb := megabytes(res.Memory.Peak); mb != nil {
		b = strconv.AppendFloat(b, *mb, 'f', -1, 64)
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"cpu_ms":`...)
	if res.CPU > 0 {
		b = jsontext.AppendMillis(b, res.CPU)
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"version":`...)
	b = strconv.AppendInt(b, res.Version, 10)
	b = append(b, `,"alias_used":null`...) // there are no aliases yet
	if res.Logs != nil {
		b = append(b, `,"logs":[`...)
		for i, line := range res.Logs {
			if i > 0 {
				b = append(b, ',')
			}
			b = jsontext.AppendString(b, line)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// megabytes returns MiB with one decimal, nil for a size that is not known.
func megabytes(n int64) *float64 {
	if n <= 0 {
		return nil
	}
	mb := float64((n*10+nimbus.MiB/2)/nimbus.MiB) / 10
	return &mb
}
