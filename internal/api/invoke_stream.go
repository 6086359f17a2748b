package api

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"unicode/utf8"

	"nimbus"
	"nimbus/internal/invoke"
	"nimbus/internal/jsontext"
	"nimbus/internal/transport"
)

// invokeStreamed answers with Server-Sent Events (WHATWG HTML, 9.2): the data of each is one item of the
// result as JSON; the last, of the type "result", is the outcome without a body.
func (a *api) invokeStreamed(w http.ResponseWriter, r *http.Request, p nimbus.Principal, t *invoke.Target, req *invoke.Request) error {
	s := &eventStream{w: w, flush: http.NewResponseController(w).Flush}
	cold := false
	req.Begin = func(coldStart bool) { cold = coldStart }
	req.Stream = func(kind string, raw []byte) error {
		if !s.begun {
			s.beginCall(t.VersionText, cold)
		}
		return s.send(event{data: appendItem(nil, kind, raw)})
	}
	res, err := a.Invoker.Invoke(r.Context(), p, t, req)
	if err != nil {
		if s.begun {
			a.problems.Abort(r, err)
		}
		return err
	}
	if !s.begun {
		s.beginCall(t.VersionText, res.ColdStart)
	}
	if len(res.Body) > 0 { // not a generator: the one item there is
		if err := s.send(event{data: res.Body}); err != nil {
			a.problems.Abort(r, err)
		}
	}
	transport.SetDuration(w.Header(), res)
	if err := s.send(event{name: "result", data: appendResultTail(appendResultHead(nil, res), res)}); err != nil {
		a.problems.Abort(r, err)
	}
	res.Written()
	return nil
}

// appendItem appends an item as JSON: text as a string, bytes too if they are text, else as {"base64": …}.
func appendItem(b []byte, kind string, raw []byte) []byte {
	switch {
	case kind == "json":
		return append(b, raw...)
	case kind == "text" || utf8.Valid(raw):
		return jsontext.AppendString(b, raw)
	}
	b = append(b, `{"base64":"`...)
	b = base64.StdEncoding.AppendEncode(b, raw)
	return append(b, `"}`...)
}

// beginCall sends the headers of a call whose outcome is still to come.
func (s *eventStream) beginCall(version string, coldStart bool) {
	h := s.w.Header()
	h.Set(transport.HeaderVersion, version)
	h.Set(transport.HeaderColdStart, strconv.FormatBool(coldStart))
	h.Set("Trailer", transport.HeaderDuration)
	s.begin()
}
