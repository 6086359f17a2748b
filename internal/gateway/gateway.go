// Package gateway is the data plane: it turns requests to function URLs, /fn/{namespace}/{name}[/path], into
// events (AWS payload format 2.0, or the JSON body itself) and results into responses. It decides nothing
// about functions; invoke.Service does.
package gateway

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"nimbus"
	"nimbus/internal/invoke"
	"nimbus/internal/obs"
	"nimbus/internal/problem"
	"nimbus/internal/transport"
)

// Invoker finds and calls functions.
type Invoker interface {
	Resolve(ctx context.Context, p nimbus.Principal, namespace, function, qualifier string) (*invoke.Target, error)
	Invoke(ctx context.Context, p nimbus.Principal, t *invoke.Target, req *invoke.Request) (*invoke.Result, error)
}

// Config bounds what the gateway takes.
type Config struct {
	EventLimit int64            // bytes of a request's body
	Now        func() time.Time // nil = time.Now
}

// Gateway serves function URLs.
type Gateway struct {
	invoker  Invoker
	identity transport.Identity
	problems *problem.Writer
	cfg      Config
	events   sync.Pool // *[]byte: scratch the events are built in
}

// New returns the handler of everything below /fn/.
func New(invoker Invoker, identity transport.Identity, problems *problem.Writer, cfg Config) *Gateway {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.EventLimit <= 0 {
		cfg.EventLimit = nimbus.DefaultLimits().Event
	}
	return &Gateway{invoker: invoker, identity: identity, problems: problems, cfg: cfg,
		events: sync.Pool{New: func() any { return new([]byte) }}}
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := g.serve(w, r); err != nil {
		g.problems.Write(w, r, err)
	}
}

func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) error {
	p, err := g.identity.Principal(r)
	if err != nil {
		return err
	}
	a, err := parseAddress(r.URL.EscapedPath())
	if err != nil {
		return err
	}
	if mode := r.Header.Get("X-Nimbus-Invoke-Mode"); mode != "" && mode != "sync" {
		return nimbus.Errorf(nimbus.CodeInvalid, "X-Nimbus-Invoke-Mode: %q is not supported by this version of Nimbus", mode)
	}
	target, err := g.invoker.Resolve(r.Context(), p, a.namespace, a.function, "")
	if err != nil {
		return err
	}
	body, err := transport.ReadBody(w, r, g.cfg.EventLimit)
	if err != nil {
		return err
	}
	event, err := g.event(r, a, target, body)
	if err != nil {
		return err
	}
	return g.call(w, r, p, target, event)
}

// event returns what the function is handed.
func (g *Gateway) event(r *http.Request, a address, t *invoke.Target, body []byte) ([]byte, error) {
	if t.Version.Settings.EventFormat == nimbus.EventFormatRaw {
		return body, transport.CheckEvent(body)
	}
	scratch := g.events.Get().(*[]byte)
	defer g.events.Put(scratch)
	built := appendEvent((*scratch)[:0], httpEvent{
		request: r, path: a.path, body: body, apiID: t.FunctionID.String(),
		requestID: obs.RequestIDFrom(r.Context()).String(), now: g.cfg.Now(),
	})
	if cap(built) <= maxScratch {
		*scratch = built
	}
	// The call's record may keep the event for longer than the call lasts, so it gets bytes of its own.
	return append(make([]byte, 0, len(built)), built...), nil
}

// maxScratch is what an event may leave behind in the pool.
const maxScratch = 64 << 10

func (g *Gateway) call(w http.ResponseWriter, r *http.Request, p nimbus.Principal, t *invoke.Target, event []byte) error {
	s := &stream{w: w, flush: http.NewResponseController(w).Flush, head: r.Method == http.MethodHead, version: t.VersionText}
	known := obs.RequestFrom(r.Context())
	res, err := g.invoker.Invoke(r.Context(), p, t, &invoke.Request{
		ID:          known.ID,
		Arrived:     known.Arrived,
		Trigger:     nimbus.TriggerHTTP,
		Event:       event,
		Traceparent: known.Traceparent,
		Begin:       s.setColdStart,
		Stream:      s.item,
	})
	switch {
	case s.begun && err == nil && res.StatusCode == http.StatusOK && s.err == nil:
		transport.SetDuration(w.Header(), res)
		res.Written()
		return nil
	case s.begun:
		g.problems.Abort(r, err)
	case s.err != nil: // the prelude was no response
		err = s.err
	}
	if err != nil {
		return g.refused(w, err)
	}
	transport.SetOutcome(w.Header(), res)
	defer res.Written()
	if res.StatusCode != http.StatusOK {
		g.failed(w, res)
		return nil
	}
	answer := &response{status: http.StatusOK}
	if res.Streamed { // a generator that had no items
		w.Header().Set("Content-Type", streamedType)
	} else if answer, err = parseResponse(res.Body); err != nil {
		return g.refused(w, err)
	}
	answer.write(w, r)
	return nil
}

// failed answers for user code that came to a bad end. Its message is for the logs: whoever calls the URL
// need not be who wrote the function.
func (g *Gateway) failed(w http.ResponseWriter, res *invoke.Result) {
	if res.StatusCode == http.StatusGatewayTimeout {
		g.problems.WriteOutcome(w, problem.CodeFunctionTimeout, "the function did not answer in time", res.ErrorType)
		return
	}
	g.problems.WriteOutcome(w, problem.CodeFunctionError, "the function failed; its logs have the cause", res.ErrorType)
}

// refused answers for a result that is no HTTP response, and leaves every other error to the caller.
func (g *Gateway) refused(w http.ResponseWriter, err error) error {
	if bad, ok := err.(*badResponseError); ok {
		g.problems.WriteOutcome(w, problem.CodeBadResponse, bad.Error(), "")
		return nil
	}
	return err
}

// address is what a function URL's path names.
type address struct {
	namespace string
	function  string
	path      string // what follows, as it was sent; "/" when nothing does
}

// parseAddress reads an escaped path below /fn/.
func parseAddress(escaped string) (address, error) {
	rest := strings.TrimPrefix(escaped, transport.GatewayPrefix)
	namespace, rest, _ := strings.Cut(rest, "/")
	function, path, _ := strings.Cut(rest, "/")
	a := address{path: "/" + path}
	var err1, err2 error
	a.namespace, err1 = url.PathUnescape(namespace)
	a.function, err2 = url.PathUnescape(function)
	if err1 != nil || err2 != nil || a.namespace == "" || a.function == "" {
		return address{}, nimbus.Errorf(nimbus.CodeNotFound, "a function URL is /fn/NAMESPACE/NAME, and %q is none", escaped)
	}
	return a, nil
}
