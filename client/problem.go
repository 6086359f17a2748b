package client

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Problem is a refusal of the server, RFC 9457. An answer that is no problem document (of a proxy between,
// say) is one too, with its status and no Code.
type Problem struct {
	Type       string        `json:"type,omitempty"`
	Title      string        `json:"title,omitempty"`
	Status     int           `json:"status"`
	Detail     string        `json:"detail,omitempty"`
	Code       string        `json:"code,omitempty"` // one of the Code constants; "" = not Nimbus's answer
	RequestID  string        `json:"request_id,omitempty"`
	Fields     []FieldError  `json:"errors,omitempty"`
	RetryAfter time.Duration `json:"-"` // 0 = unsaid
}

// FieldError names a field at fault and the bound it broke.
type FieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// The codes a Problem may carry.
const (
	CodeBadRequest          = "bad_request"
	CodeInvalid             = "invalid"
	CodeUnauthenticated     = "unauthenticated"
	CodeForbidden           = "forbidden"
	CodeNotFound            = "not_found"
	CodeConflict            = "conflict"
	CodeTooLarge            = "too_large"
	CodeUnsupportedMedia    = "unsupported_media"
	CodeTooManyRequests     = "too_many_requests"
	CodeInsufficientStorage = "insufficient_storage"
	CodeUnavailable         = "unavailable"
	CodeInternal            = "internal"
)

// Error is one line: the detail and every field at fault.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	if text == "" {
		text = fmt.Sprintf("the server answered %d %s", p.Status, http.StatusText(p.Status))
	}
	if len(p.Fields) == 0 {
		return text
	}
	fields := make([]string, len(p.Fields))
	for i, f := range p.Fields {
		fields[i] = f.Field + ": " + f.Detail
	}
	all := strings.Join(fields, "; ")
	if p.Code == CodeInvalid {
		return "invalid " + all // the detail only lists their names
	}
	return text + "; " + all
}

// Temporary reports whether the same request may succeed later.
func (p *Problem) Temporary() bool {
	switch p.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// maxProblem bounds what is read of an error's body.
const maxProblem = 1 << 20

func readProblem(res *http.Response) error {
	p := &Problem{}
	// A body cut short leaves what did arrive; the status alone says enough.
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxProblem))
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if kind == "application/problem+json" {
		if err := json.Unmarshal(body, p); err != nil {
			p = &Problem{}
		}
	}
	p.Status = res.StatusCode
	if p.RequestID == "" {
		p.RequestID = res.Header.Get("X-Request-Id")
	}
	if p.Code == "" && p.Detail == "" {
		p.Detail = foreignAnswer(res, kind, body)
	}
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}

// foreignAnswer describes an answer that did not come from Nimbus.
func foreignAnswer(res *http.Response, kind string, body []byte) string {
	text := fmt.Sprintf("%s answered %s", res.Request.URL.Host, res.Status)
	if location := res.Header.Get("Location"); location != "" {
		return text + ", to " + location
	}
	if line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n"); kind == "text/plain" && line != "" {
		return fmt.Sprintf("%s: %.200s", text, line)
	}
	return text + ", which is not an answer of Nimbus"
}
