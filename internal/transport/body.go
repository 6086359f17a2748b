package transport

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
	"unicode/utf8"

	"nimbus"
)

// trusted is how long a body may say it is to be given its memory at once. A longer one gets it as it comes,
// so that headers alone can't take megabytes.
const trusted = 64 << 10

// Bounds of a body that a caller sends.
const (
	bodyTime    = time.Minute     // for all of it to arrive
	lingerTime  = 5 * time.Second // for what is not wanted of it
	lingerBytes = 256 << 20
)

// ReadBody reads a request's body, at most limit bytes of it. Over the limit it is CodeTooLarge, naming the
// bound; a body that breaks off, or takes longer than a minute, is CodeBadRequest.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	switch {
	case r.ContentLength > limit:
		Linger(w, r)
		return nil, TooLarge("the body", limit)
	case r.ContentLength == 0:
		return nil, nil
	}
	c := http.NewResponseController(w)
	timed := c.SetReadDeadline(time.Now().Add(bodyTime)) == nil
	data, err := readBody(w, r, limit)
	if err != nil {
		if nimbus.CodeOf(err) == nimbus.CodeTooLarge {
			Linger(w, r)
		}
		return nil, err // with the deadline left in place the connection ends
	}
	if timed {
		if err := c.SetReadDeadline(time.Time{}); err != nil {
			return nil, fmt.Errorf("lift the deadline of a body: %w", err)
		}
	}
	return data, nil
}

func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > 0 && r.ContentLength <= trusted {
		data := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, data); err != nil {
			return nil, BodyError(r, err, limit)
		}
		return data, nil
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err == nil && r.ContentLength > int64(len(data)) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, BodyError(r, err, limit)
	}
	return data, nil
}

// Linger reads on, within bounds, what is left of a body that is refused for its size: most clients send it
// all before they look for the answer, and would see a broken connection instead.
func Linger(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Expect") != "" {
		return // this one waits to be told to send
	}
	drop(w, r)
}

// drop is Linger for a body that has begun to arrive.
func drop(w http.ResponseWriter, r *http.Request) {
	if http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, r.Body, lingerBytes) // whatever comes of it, the body is refused
	}
}

// BodyError translates an error met while reading a body that was limited by http.MaxBytesReader.
func BodyError(r *http.Request, err error, limit int64) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return TooLarge("the body", limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nimbus.WrapError(nimbus.CodeBadRequest, err, "the body did not arrive in time")
	}
	if cause := r.Context().Err(); cause != nil {
		return fmt.Errorf("read body: %w", cause)
	}
	return nimbus.WrapError(nimbus.CodeBadRequest, err, "the body could not be read to its end")
}

// TooLarge is the refusal of something over its bound.
func TooLarge(what string, limit int64) error {
	return nimbus.Errorf(nimbus.CodeTooLarge, "%s may have %s at most", what, sizeText(limit))
}

// CheckEvent refuses an event that is not JSON. An empty one is null.
func CheckEvent(event []byte) error {
	if len(event) == 0 || json.Valid(event) && utf8.Valid(event) {
		return nil
	}
	if !utf8.Valid(event) {
		return nimbus.Errorf(nimbus.CodeBadRequest, "the event is not JSON: it is not UTF-8")
	}
	var ignored any
	return BadJSON("the event", event, json.Unmarshal(event, &ignored))
}

// BadJSON is the refusal of what is not JSON; err is that of encoding/json, and says where.
func BadJSON(what string, data []byte, err error) error {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return nimbus.WrapError(nimbus.CodeBadRequest, err, "%s is not JSON", what)
	}
	line, column := 1, 1
	for _, c := range data[:max(0, min(syntax.Offset-1, int64(len(data))))] {
		if c == '\n' {
			line, column = line+1, 0
		}
		column++
	}
	return nimbus.WrapError(nimbus.CodeBadRequest, err, "%s is not JSON: %s at line %d, column %d", what, syntax.Error(), line, column)
}

// sizeText writes bytes in the largest unit that needs no fraction.
func sizeText(n int64) string {
	switch {
	case n >= nimbus.MiB && n%nimbus.MiB == 0:
		return fmt.Sprintf("%d MiB", n/nimbus.MiB)
	case n >= nimbus.KiB && n%nimbus.KiB == 0:
		return fmt.Sprintf("%d KiB", n/nimbus.KiB)
	}
	return fmt.Sprintf("%d bytes", n)
}
