package api

import (
	"bytes"
	"net/http"
)

const mediaEvents = "text/event-stream"

// eventStream writes Server-Sent Events (WHATWG HTML, 9.2).
type eventStream struct {
	w     http.ResponseWriter
	flush func() error
	begun bool
	buf   []byte
}

// begin sends the headers.
func (s *eventStream) begin() {
	s.begun = true
	h := s.w.Header()
	h.Set("Content-Type", mediaEvents)
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // a proxy that collects events defeats them
	s.w.WriteHeader(http.StatusOK)
}

// event is one Server-Sent Event.
type event struct {
	name string // "" = message
	id   string // "" = none
	data []byte // JSON
}

// send writes one event at once. Data with line breaks becomes several data lines, as the format has it.
func (s *eventStream) send(e event) error {
	s.buf = s.buf[:0]
	if e.name != "" {
		s.buf = append(s.buf, "event: "+e.name+"\n"...)
	}
	if e.id != "" {
		s.buf = append(s.buf, "id: "+e.id+"\n"...)
	}
	// JSON has line breaks between its tokens only, where a carriage return is as good as nothing.
	for line := range bytes.SplitSeq(bytes.ReplaceAll(e.data, []byte("\r"), nil), []byte("\n")) {
		s.buf = append(s.buf, "data: "...)
		s.buf = append(s.buf, line...)
		s.buf = append(s.buf, '\n')
	}
	s.buf = append(s.buf, '\n')
	return s.write()
}

// ping writes a comment, so that a connection with nothing to say is not taken for dead.
func (s *eventStream) ping() error {
	s.buf = append(s.buf[:0], ": keep-alive\n\n"...)
	return s.write()
}

func (s *eventStream) write() error {
	if _, err := s.w.Write(s.buf); err != nil {
		return err
	}
	return s.flush()
}
