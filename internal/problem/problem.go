// Package problem answers HTTP requests with RFC 9457 problem documents. It alone maps a nimbus.Code to a
// status, for every HTTP transport, and it alone logs the errors that a caller is told nothing about.
package problem

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"nimbus"
)

// ContentType is the media type of a problem document.
const ContentType = "application/problem+json"

// RequestIDHeader carries the request's id; a problem repeats what the response's header says.
const RequestIDHeader = "X-Request-Id"

// statusClientGone is what nginx notes for a client that hung up; nobody reads it but the access log.
const statusClientGone = 499

// internalDetail is all a caller learns of an error that isn't meant for callers.
const internalDetail = "something went wrong inside Nimbus; the server's log has the cause under this request_id"

// Details is a problem document.
type Details struct {
	Type      string              `json:"type" doc:"Always about:blank: code says what it is."`
	Title     string              `json:"title" doc:"The HTTP status in words."`
	Status    int                 `json:"status" doc:"The HTTP status."`
	Detail    string              `json:"detail" doc:"What went wrong, for a human."`
	Code      nimbus.Code         `json:"code" doc:"What went wrong, for a program."`
	RequestID string              `json:"request_id,omitempty" doc:"Finds the request in the server's log."`
	ErrorType string              `json:"error_type,omitempty" doc:"The type of the error user code raised."`
	Errors    []nimbus.FieldError `json:"errors,omitempty" doc:"The fields at fault and the bounds they broke."`
}

// Writer answers with problems. Safe for concurrent use.
type Writer struct{ log *slog.Logger }

// NewWriter returns a Writer that logs what callers aren't told. The logger is to add the context's
// request_id, as that of obs does.
func NewWriter(log *slog.Logger) *Writer { return &Writer{log: log} }

// Write answers r with err. Nothing may have been written to w yet.
func (p *Writer) Write(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		w.WriteHeader(statusClientGone)
		return
	}
	d := Details{Code: nimbus.CodeInternal, Detail: internalDetail}
	var retry time.Duration
	if e, ok := errors.AsType[*nimbus.Error](err); ok {
		d.Code, d.Errors, retry = e.Code, e.Fields, e.RetryAfter
		if e.Detail != "" || e.Code != nimbus.CodeInternal {
			d.Detail = e.Detail
		}
	}
	if Status(d.Code) >= http.StatusInternalServerError {
		p.log.Log(r.Context(), level(d.Code), "request failed",
			"method", r.Method, "path", r.URL.Path, "code", string(d.Code), "error", err)
	}
	write(w, d, retry)
}

// level is how loud the log is to be: what passes by itself, or with more disk, is no bug, and the access log
// has a line about it anyway.
func level(code nimbus.Code) slog.Level {
	if code == nimbus.CodeUnavailable || code == nimbus.CodeInsufficientStorage {
		return slog.LevelInfo
	}
	return slog.LevelError
}

// WriteOutcome answers with the failure of user code, which is no error of the platform's: it is not logged.
func (p *Writer) WriteOutcome(w http.ResponseWriter, code nimbus.Code, detail, errorType string) {
	write(w, Details{Code: code, Detail: detail, ErrorType: errorType}, 0)
}

func write(w http.ResponseWriter, d Details, retry time.Duration) {
	d.Type, d.Status = "about:blank", Status(d.Code)
	d.Title = http.StatusText(d.Status)
	h := w.Header()
	d.RequestID = h.Get(RequestIDHeader)
	h.Del("Content-Length")
	h.Set("Content-Type", ContentType)
	h.Set("X-Content-Type-Options", "nosniff")
	if d.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="nimbus"`)
	}
	if seconds := retryAfter(d.Status, retry); seconds > 0 {
		h.Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	w.WriteHeader(d.Status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(d) // the client is gone when this fails
}

// retryAfter returns whole seconds, rounded up; 429 and 503 always have some.
func retryAfter(status int, asked time.Duration) int64 {
	seconds := int64((asked + time.Second - 1) / time.Second)
	if seconds <= 0 && (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) {
		return 1
	}
	return seconds
}

// Abort breaks off an answer that has begun: nothing can be said anymore, and what was sent must not look
// complete. It does not return.
func (p *Writer) Abort(r *http.Request, err error) {
	if err != nil && r.Context().Err() == nil && Status(nimbus.CodeOf(err)) >= http.StatusInternalServerError {
		p.log.Log(r.Context(), level(nimbus.CodeOf(err)), "answer broken off",
			"method", r.Method, "path", r.URL.Path, "error", err)
	}
	panic(http.ErrAbortHandler)
}
