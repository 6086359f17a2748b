//go:build linux

package agent

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"nimbus/internal/wire"
)

// The headers of the Runtime API (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html), in canonical form.
const (
	headerRequestID    = "Lambda-Runtime-Aws-Request-Id"
	headerDeadline     = "Lambda-Runtime-Deadline-Ms"
	headerARN          = "Lambda-Runtime-Invoked-Function-Arn"
	headerTrace        = "Lambda-Runtime-Trace-Id"
	headerTraceparent  = "Traceparent" // not AWS's: W3C trace context
	headerResponseMode = "Lambda-Runtime-Function-Response-Mode"
	headerErrorType    = "Lambda-Runtime-Function-Error-Type" // a trailer too
	headerErrorBody    = "Lambda-Runtime-Function-Error-Body" // a trailer: base64 of the JSON
)

var (
	// errProgramEnded says that the program ended before it answered.
	errProgramEnded = errors.New("the program ended")
	// errNotHanded says that it ended before it had even asked for the event.
	errNotHanded = errors.New("the program ended before the call")
)

// invocation is one event on its way through the Runtime API.
type invocation struct {
	ctx      context.Context //nolint:containedctx // of the call, for the request that answers it
	call     *wire.Call
	id       string
	event    []byte
	header   http.Header
	returned chan struct{} // a token: whoever asked for it went away before it was written
	outcome  chan outcome  // room for the one there is

	// Guarded by the API's mutex.
	handed    bool
	answering bool // from here on the outcome will come
	revoked   bool // it is not to be handed over or answered any more
}

type outcome struct {
	meta wire.RespMeta
	raw  []byte
}

func newInvocation(ctx context.Context, call *wire.Call, init *wire.InitMsg) *invocation {
	header := http.Header{
		headerRequestID:  {call.Meta.RequestID},
		headerDeadline:   {strconv.FormatInt(call.Meta.DeadlineMS, 10)},
		headerARN:        {init.ARN()},
		"Content-Type":   {"application/json"},
		"Content-Length": {strconv.Itoa(len(call.Event))}, // not every runtime reads chunks
	}
	if trace := xrayTrace(&call.Meta); trace != "" {
		header[headerTrace] = []string{trace}
	}
	if call.Meta.Traceparent != "" {
		header[headerTraceparent] = []string{call.Meta.Traceparent}
	}
	return &invocation{
		ctx: ctx, call: call, id: call.Meta.RequestID, header: header,
		event:    bytes.Clone(call.Event), // a program may answer before it has read all of it
		returned: make(chan struct{}, 1), outcome: make(chan outcome, 1),
	}
}

// invoke hands the invocation to whoever asks for the next, and waits for the answer. Nobody has the call
// any more when it returns.
func (a *runtimeAPI) invoke(inv *invocation, programEnded <-chan struct{}) (wire.RespMeta, []byte, error) {
	s := a.current()
	pending := s.pending
	for {
		var why error
		select {
		case pending <- inv:
			pending = nil
			continue
		case <-inv.returned:
			pending = s.pending
			continue
		case o := <-inv.outcome:
			return o.meta, o.raw, nil
		case meta := <-s.failed:
			a.revoke(inv)
			return meta, nil, nil
		case <-programEnded:
			why = errProgramEnded
		case <-inv.ctx.Done():
			why = inv.ctx.Err()
		}
		handed, answering := a.revoke(inv)
		if answering { // its last words
			o := <-inv.outcome
			return o.meta, o.raw, nil
		}
		if !handed && errors.Is(why, errProgramEnded) {
			select {
			case meta := <-s.failed:
				return meta, nil, nil
			default:
				why = errNotHanded
			}
		}
		return wire.RespMeta{}, nil, why
	}
}

// revoke takes the invocation back, unless it is being answered.
func (a *runtimeAPI) revoke(inv *invocation) (handed, answering bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !inv.answering {
		inv.revoked = true
		if a.session.current == inv {
			a.session.current = nil
		}
	}
	return inv.handed, inv.answering
}

// xrayTrace writes the trace's id as AWS X-Ray has it, "" when the call has none.
func xrayTrace(m *wire.ExecMeta) string {
	parts := strings.Split(m.Traceparent, "-")
	if len(parts) == 4 && len(parts[1]) == 32 && len(parts[2]) == 16 && len(parts[3]) == 2 {
		sampled := "0"
		if flags, err := strconv.ParseUint(parts[3], 16, 8); err == nil && flags&1 == 1 {
			sampled = "1"
		}
		return "Root=1-" + parts[1][:8] + "-" + parts[1][8:] + ";Parent=" + parts[2] + ";Sampled=" + sampled
	}
	if len(m.TraceID) == 32 {
		return "Root=1-" + m.TraceID[:8] + "-" + m.TraceID[8:]
	}
	return ""
}

// reported is the JSON that a runtime reports a failure with. The frames of a stack are text, or objects as
// aws-lambda-go has them.
type reported struct {
	Message string            `json:"errorMessage"`
	Type    string            `json:"errorType"`
	Stack   []json.RawMessage `json:"stackTrace"`
}

// readFailure makes an outcome of a reported failure. What is no such JSON is the message.
func readFailure(body []byte, kind string) wire.RespMeta {
	var r reported
	if err := json.Unmarshal(body, &r); err != nil {
		r = reported{Message: strings.ToValidUTF8(strings.TrimSpace(string(body)), "\uFFFD")}
	}
	meta := wire.RespMeta{Type: r.Type, Message: r.Message}
	if meta.Type == "" {
		meta.Type = kind
	}
	if meta.Type == "" {
		meta.Type = "Runtime.Unknown"
	}
	for _, raw := range r.Stack {
		meta.Stack = append(meta.Stack, stackLine(raw))
	}
	return meta
}

func stackLine(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var frame struct {
		Path  string `json:"path"`
		Line  int    `json:"line"`
		Label string `json:"label"`
	}
	if json.Unmarshal(raw, &frame) == nil && frame.Path != "" {
		return fmt.Sprintf("%s:%d %s", frame.Path, frame.Line, frame.Label)
	}
	return string(raw)
}

// trailedFailure reads the failure that came in the trailers, after a response that had begun.
func trailedFailure(trailer http.Header) (wire.RespMeta, bool) {
	kind, body := trailer.Get(headerErrorType), trailer.Get(headerErrorBody)
	if kind == "" && body == "" {
		return wire.RespMeta{}, false
	}
	decoded, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		decoded = []byte(body)
	}
	return readFailure(decoded, kind), true
}
