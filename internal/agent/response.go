//go:build linux

package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"nimbus/internal/wire"
)

const (
	// httpIntegration is the type of a response that begins with a prelude: JSON of the status, headers and
	// cookies, then eight zero bytes, then the body.
	httpIntegration = "application/vnd.awslambda.http-integration-response"
	maxPrelude      = 64 << 10
	streamBuffer    = 32 << 10
)

var preludeEnd = make([]byte, 8)

// streams reports whether a response is to be passed on as it comes.
func streams(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get(headerResponseMode), "streaming") || mediaType(r) == httpIntegration
}

func mediaType(r *http.Request) string {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// readWhole reads a response that is the result.
func readWhole(w http.ResponseWriter, r *http.Request, call *wire.Call) (wire.RespMeta, []byte, error) {
	body, err := readBounded(w, r, call)
	if err != nil {
		return wire.RespMeta{}, nil, err
	}
	if meta, failed := trailedFailure(r.Trailer); failed {
		return meta, nil, nil
	}
	return wire.RespMeta{OK: true}, asJSON(body), nil
}

func readBounded(w http.ResponseWriter, r *http.Request, call *wire.Call) ([]byte, error) {
	bound := call.MaxResponse()
	if bound <= 0 {
		bound = maxUnbounded
	}
	if r.ContentLength > bound {
		return nil, &http.MaxBytesError{Limit: bound}
	}
	buf := bytes.NewBuffer(make([]byte, 0, max(r.ContentLength, 0)+bytes.MinRead))
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, bound))
	return buf.Bytes(), err
}

// asJSON returns a result as a JSON value. AWS passes on any bytes, and a script's answer often is plain
// text: that becomes a string.
func asJSON(body []byte) []byte {
	trimmed := bytes.TrimSpace(body)
	if len(trimmed) == 0 {
		return []byte("null")
	}
	if json.Valid(trimmed) {
		return trimmed
	}
	text, _ := json.Marshal(strings.ToValidUTF8(string(body), "\uFFFD")) // a string always marshals
	return text
}

// readStream passes a response on as it comes. A caller that wants no stream gets it as one result.
func readStream(w http.ResponseWriter, r *http.Request, call *wire.Call) (wire.RespMeta, []byte, error) {
	if !call.Meta.Stream {
		return readGathered(w, r, call)
	}
	s := sink{call: call, kind: wire.KindBytes}
	if isText(mediaType(r)) {
		s.kind = wire.KindText
	}
	body := io.Reader(r.Body)
	if mediaType(r) == httpIntegration {
		prelude, rest, err := readPrelude(body)
		if err != nil {
			return wire.RespMeta{}, nil, err
		}
		if err := call.Chunk(wire.KindJSON, prelude); err != nil {
			return wire.RespMeta{}, nil, err
		}
		body = rest
	}
	if _, err := io.CopyBuffer(&s, struct{ io.Reader }{body}, make([]byte, streamBuffer)); err != nil {
		return wire.RespMeta{}, nil, err
	}
	if err := s.flush(); err != nil {
		return wire.RespMeta{}, nil, err
	}
	if meta, failed := trailedFailure(r.Trailer); failed {
		return meta, nil, nil
	}
	return wire.RespMeta{OK: true, Streamed: true}, nil, nil
}

// readGathered makes one result of a stream: with a prelude, the object that a function URL takes.
func readGathered(w http.ResponseWriter, r *http.Request, call *wire.Call) (wire.RespMeta, []byte, error) {
	if mediaType(r) != httpIntegration {
		return readWhole(w, r, call)
	}
	body, err := readBounded(w, r, call)
	if err != nil {
		return wire.RespMeta{}, nil, err
	}
	prelude, rest, err := readPrelude(bytes.NewReader(body))
	if err != nil {
		return wire.RespMeta{}, nil, err
	}
	if meta, failed := trailedFailure(r.Trailer); failed {
		return meta, nil, nil
	}
	var fields map[string]any
	if err := json.Unmarshal(prelude, &fields); err != nil {
		return wire.RespMeta{}, nil, fmt.Errorf("the prelude: %w", err)
	}
	content, err := io.ReadAll(rest)
	if err != nil {
		return wire.RespMeta{}, nil, err
	}
	if utf8.Valid(content) {
		fields["body"] = string(content)
	} else {
		fields["body"], fields["isBase64Encoded"] = content, true // bytes marshal as base64
	}
	result, err := json.Marshal(fields)
	return wire.RespMeta{OK: true}, result, err
}

// readPrelude reads the JSON object that a response begins with, and returns what follows it. Without a status it
// is 200.
func readPrelude(body io.Reader) (prelude []byte, rest io.Reader, err error) {
	var head []byte
	buf := make([]byte, 4<<10)
	for {
		n, err := body.Read(buf)
		from := max(0, len(head)-len(preludeEnd)+1)
		head = append(head, buf[:n]...)
		if at := bytes.Index(head[from:], preludeEnd); at >= 0 {
			prelude = head[:from+at]
			rest = io.MultiReader(bytes.NewReader(head[from+at+len(preludeEnd):]), body)
			break
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil, errors.New("it ends before the eight zero bytes behind the prelude")
		case err != nil:
			return nil, nil, err
		case len(head) > maxPrelude:
			return nil, nil, fmt.Errorf("the prelude has more than %d bytes", maxPrelude)
		}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(prelude, &fields); err != nil || fields == nil {
		return nil, nil, fmt.Errorf("the prelude is not a JSON object: %s", excerpt(prelude))
	}
	if _, ok := fields["statusCode"]; !ok {
		fields["statusCode"] = json.RawMessage("200")
	}
	prelude, err = json.Marshal(fields)
	return prelude, rest, err
}

func isText(kind string) bool {
	return strings.HasPrefix(kind, "text/") || kind == "application/json" || strings.HasSuffix(kind, "+json")
}

// sink passes bytes on as items of a kind. An item of text ends with a character.
type sink struct {
	call *wire.Call
	kind string
	rest []byte // the beginning of a character
}

// Write implements io.Writer.
func (s *sink) Write(p []byte) (int, error) {
	whole := p
	if s.kind == wire.KindText {
		whole = append(s.rest, p...)
		end := wholeCharacters(whole)
		s.rest, whole = bytes.Clone(whole[end:]), whole[:end]
	}
	if len(whole) == 0 {
		return len(p), nil
	}
	if err := s.call.Chunk(s.kind, whole); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *sink) flush() error {
	if len(s.rest) == 0 {
		return nil
	}
	return s.call.Chunk(s.kind, s.rest)
}

// wholeCharacters returns how many bytes of p do not belong to a character that is still to end.
func wholeCharacters(p []byte) int {
	for back := 1; back < utf8.UTFMax && back <= len(p); back++ {
		if at := len(p) - back; utf8.RuneStart(p[at]) {
			if !utf8.FullRune(p[at:]) {
				return at
			}
			break
		}
	}
	return len(p)
}
