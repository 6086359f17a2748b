//go:build linux

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"nimbus/internal/wire"
)

const (
	apiVersion    = "/2018-06-01/runtime/"
	maxReport     = 256 << 10 // bytes of a reported failure
	maxUnbounded  = 15 << 20  // bytes of a response where the platform gave no bound
	statusOK      = `{"status":"OK"}` + "\n"
	statusInvalid = "InvalidRequestID"
	statusState   = "InvalidStateTransition"
	statusLarge   = "RequestEntityTooLarge"
)

// runtimeAPI is the Lambda Runtime API, version 2018-06-01.
type runtimeAPI struct {
	mu      sync.Mutex
	session *session
}

// session is the API towards one process: what it has asked for, and what it was given.
type session struct {
	asked   chan struct{}      // closed at the first request for an event
	failed  chan wire.RespMeta // room for the one initialisation error
	pending chan *invocation
	over    chan struct{} // closed when another process has taken the place

	// Guarded by the API's mutex.
	ready   bool        // asked is closed
	current *invocation // handed over and not answered
}

func newRuntimeAPI() *runtimeAPI {
	a := &runtimeAPI{}
	a.begin()
	return a
}

// begin starts the session of a new process. Requests of an earlier one get nothing more.
func (a *runtimeAPI) begin() *session {
	s := &session{
		asked: make(chan struct{}), failed: make(chan wire.RespMeta, 1),
		pending: make(chan *invocation), over: make(chan struct{}),
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session != nil {
		close(a.session.over)
	}
	a.session = s
	return s
}

func (a *runtimeAPI) current() *session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.session
}

func (a *runtimeAPI) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+apiVersion+"invocation/next", a.next)
	mux.HandleFunc("POST "+apiVersion+"invocation/{id}/response", a.response)
	mux.HandleFunc("POST "+apiVersion+"invocation/{id}/error", a.failure)
	mux.HandleFunc("POST "+apiVersion+"init/error", a.initFailure)
	return mux
}

// next waits for an event, for as long as it takes.
func (a *runtimeAPI) next(w http.ResponseWriter, r *http.Request) {
	s, ok := a.ask()
	if !ok {
		refuse(w, http.StatusForbidden, statusState, "the current invocation has not been answered")
		return
	}
	for {
		select {
		case inv := <-s.pending:
			if r.Context().Err() != nil { // both may be ready
				inv.returned <- struct{}{}
				return
			}
			if !a.hand(s, inv) {
				continue
			}
			header := w.Header()
			for name, value := range inv.header {
				header[name] = value
			}
			_, _ = w.Write(inv.event) // that it went away is seen by its end
			return
		case <-s.over:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// ask notes that the process is ready for an event, unless it owes an answer.
func (a *runtimeAPI) ask() (*session, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.session
	if s.current != nil {
		return nil, false
	}
	if !s.ready {
		s.ready = true
		close(s.asked)
	}
	return s, true
}

// hand notes that the process gets the invocation, unless that was taken back.
func (a *runtimeAPI) hand(s *session, inv *invocation) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if inv.revoked {
		return false
	}
	inv.handed, s.current = true, inv
	return true
}

// claim returns the invocation that a request is about to answer, nil unless its id is the current one's and
// nobody answers it yet. The end of the call then ends the reading of the request; free undoes that.
func (a *runtimeAPI) claim(w http.ResponseWriter, r *http.Request) (inv *invocation, free func() bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	inv = a.session.current
	if inv == nil || inv.answering || inv.id != r.PathValue("id") {
		return nil, nil
	}
	inv.answering = true
	connection := http.NewResponseController(w)
	return inv, context.AfterFunc(inv.ctx, func() { _ = connection.SetReadDeadline(time.Unix(1, 0)) })
}

// answer gives the invocation its outcome; the process may ask for the next one.
func (a *runtimeAPI) answer(inv *invocation, meta wire.RespMeta, raw []byte) {
	a.mu.Lock()
	if a.session.current == inv {
		a.session.current = nil
	}
	a.mu.Unlock()
	inv.outcome <- outcome{meta, raw}
}

// response takes a result, whole or as a stream.
func (a *runtimeAPI) response(w http.ResponseWriter, r *http.Request) {
	inv, free := a.claim(w, r)
	if inv == nil {
		refuseID(w, r)
		return
	}
	defer free()
	read := readWhole
	if streams(r) {
		read = readStream
	}
	meta, raw, err := read(w, r, inv.call)
	if err != nil && inv.ctx.Err() != nil {
		err = wire.ErrCancelled
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		what := fmt.Sprintf("the response has more than %d bytes", tooLarge.Limit)
		if r.ContentLength > 0 {
			what = fmt.Sprintf("the response is %d bytes", r.ContentLength)
		}
		a.answer(inv, wire.TooLarge(what, tooLarge.Limit), nil)
		refuse(w, http.StatusRequestEntityTooLarge, statusLarge, fmt.Sprintf("Exceeded maximum allowed payload size (%d bytes).", tooLarge.Limit))
	case errors.Is(err, wire.ErrTooLarge):
		a.answer(inv, meta, nil) // the call says by itself how large it was
		refuse(w, http.StatusRequestEntityTooLarge, statusLarge, "Exceeded maximum allowed payload size.")
	case errors.Is(err, wire.ErrCancelled):
		a.answer(inv, wire.RespMeta{OK: true, Streamed: true}, nil)
		accept(w)
	case err != nil:
		a.answer(inv, wire.RespMeta{Type: typeTruncated, Message: "the response was cut short: " + err.Error()}, nil)
		refuse(w, http.StatusBadRequest, "InvalidRequest", "the body could not be read")
	default:
		a.answer(inv, meta, raw)
		accept(w)
	}
}

// failure takes the report that a call failed.
func (a *runtimeAPI) failure(w http.ResponseWriter, r *http.Request) {
	inv, free := a.claim(w, r)
	if inv == nil {
		refuseID(w, r)
		return
	}
	defer free()
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxReport)) // what came of it says something
	a.answer(inv, readFailure(body, r.Header.Get(headerErrorType)), nil)
	accept(w)
}

// initFailure takes the report that the process could not get ready.
func (a *runtimeAPI) initFailure(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxReport))
	a.mu.Lock()
	s := a.session
	ready := s.ready
	a.mu.Unlock()
	if ready {
		refuse(w, http.StatusForbidden, statusState, "the function is initialised already")
		return
	}
	select {
	case s.failed <- readFailure(body, r.Header.Get(headerErrorType)):
		accept(w)
	default:
		refuse(w, http.StatusForbidden, statusState, "an initialisation error was reported already")
	}
}

func accept(w http.ResponseWriter) {
	w.Header()["Content-Type"] = []string{"application/json"}
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, statusOK)
}

func refuseID(w http.ResponseWriter, r *http.Request) {
	refuse(w, http.StatusBadRequest, statusInvalid, fmt.Sprintf("Invalid request ID: %.100q is not, or no longer, to be answered", r.PathValue("id")))
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header()["Content-Type"] = []string{"application/json"}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
	}{message, kind}) // that it went away is seen by its end
}
