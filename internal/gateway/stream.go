package gateway

import (
	"net/http"
	"strconv"

	"nimbus/internal/transport"
)

// The kinds of an item, as wire.ChunkMeta has them.
const (
	kindBytes = "bytes"
	kindText  = "text"
)

// streamedType is the Content-Type of a stream whose prelude names none.
const streamedType = "application/octet-stream"

// stream writes the items of a streamed result as they come. An object with statusCode that comes first is
// the prelude: the response's status, headers and perhaps the first of its body.
type stream struct {
	w       http.ResponseWriter
	flush   func() error
	head    bool // the request's method is HEAD: headers only
	version string
	cold    bool
	begun   bool  // the headers are out
	err     error // why the prelude was refused, or the client is gone
}

// setColdStart is told how the call began.
func (s *stream) setColdStart(cold bool) { s.cold = cold }

// item takes one item. Its error cancels the stream.
func (s *stream) item(kind string, raw []byte) error {
	if s.err == nil {
		s.err = s.write(kind, raw)
	}
	return s.err
}

func (s *stream) write(kind string, raw []byte) error {
	if !s.begun {
		a := &response{status: http.StatusOK}
		if _, ok := responseFields(raw); ok && kind != kindBytes && kind != kindText {
			var err error
			if a, err = parseResponse(raw); err != nil {
				return err
			}
			raw, kind = a.body, kindBytes
		}
		s.begin(a)
	}
	if s.head {
		return nil
	}
	if len(raw) > 0 {
		if _, err := s.w.Write(raw); err != nil {
			return err
		}
	}
	if kind != kindBytes && kind != kindText {
		if _, err := s.w.Write([]byte("\n")); err != nil {
			return err
		}
	}
	return s.flush()
}

// begin sends the headers. How long the call took is not known yet, so it will follow as a trailer.
func (s *stream) begin(a *response) {
	s.begun = true
	h := s.w.Header()
	h.Del(transport.HeaderDuration)
	a.setHeaders(h, streamedType)
	h.Set(transport.HeaderColdStart, strconv.FormatBool(s.cold))
	h.Set(transport.HeaderVersion, s.version)
	h.Set("Trailer", transport.HeaderDuration)
	s.w.WriteHeader(a.status)
}
