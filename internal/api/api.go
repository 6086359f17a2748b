// Package api is the control plane: the REST API under /api/v1, its OpenAPI document and reference page, and
// the server's health and metrics. It translates and decides nothing; the use cases do.
//
// Every operation is one value that says both what it does and how it is documented, so that the document
// can't drift from the behaviour: a query parameter that the document does not declare is refused. huma
// provides the model of the document and the schemas of the types; requests don't pass through it, because
// its errors are made by a global function, and because a function comes as JSON or as a form.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"sync"
	"time"

	"nimbus"
	"nimbus/internal/auth"
	"nimbus/internal/driver"
	"nimbus/internal/function"
	"nimbus/internal/invoke"
	"nimbus/internal/invoke/why"
	"nimbus/internal/obs"
	"nimbus/internal/problem"
	"nimbus/internal/runtime"
	"nimbus/internal/transport"
)

// FunctionReader shows functions.
type FunctionReader interface {
	Get(ctx context.Context, p nimbus.Principal, ref function.Ref) (*nimbus.Function, error)
	Code(ctx context.Context, p nimbus.Principal, ref function.Ref) (string, error)
	List(ctx context.Context, p nimbus.Principal, q function.Query) (nimbus.List[nimbus.Function], error)
}

// FunctionWriter changes functions.
type FunctionWriter interface {
	Create(ctx context.Context, p nimbus.Principal, namespace, name string, in function.Input) (*nimbus.Function, error)
	Update(ctx context.Context, p nimbus.Principal, ref function.Ref, in function.Input) (*nimbus.Function, error)
	Delete(ctx context.Context, p nimbus.Principal, ref function.Ref) error
}

// Functions are the use cases of functions.
type Functions interface {
	FunctionReader
	FunctionWriter
}

// Invoker calls functions.
type Invoker interface {
	Resolve(ctx context.Context, p nimbus.Principal, namespace, function, qualifier string) (*invoke.Target, error)
	Invoke(ctx context.Context, p nimbus.Principal, t *invoke.Target, req *invoke.Request) (*invoke.Result, error)
}

// Invocations shows what came of calls.
type Invocations interface {
	Get(ctx context.Context, p nimbus.Principal, id nimbus.ID) (*nimbus.Invocation, error)
	List(ctx context.Context, p nimbus.Principal, q invoke.Query) (nimbus.List[nimbus.Invocation], error)
	Why(ctx context.Context, p nimbus.Principal, id nimbus.ID) (*nimbus.Invocation, why.Report, error)
}

// Keys manages API keys.
type Keys interface {
	Create(ctx context.Context, p nimbus.Principal, in auth.KeyInput) (nimbus.APIKey, string, error)
	List(ctx context.Context, p nimbus.Principal, page nimbus.Page) (nimbus.List[nimbus.APIKey], error)
	Delete(ctx context.Context, p nimbus.Principal, idOrName string) error
}

// Logs shows what functions printed.
type Logs interface {
	Query(ctx context.Context, q obs.LogQuery) (nimbus.List[obs.LogLine], error)
	Tail(ctx context.Context, q obs.LogQuery) (cursor string, err error)
	Follow(ctx context.Context, q obs.LogQuery) iter.Seq2[obs.LogLine, error]
}

// Runtimes knows the languages of this machine.
type Runtimes interface {
	List() []runtime.Runtime
	Toolchains() []runtime.Toolchain
	Rejected() []runtime.Rejected
}

// Driver reports what it can do.
type Driver interface {
	Name() string
	Probe(ctx context.Context) driver.Report
}

// Archive copies the whole installation out, and stages a copy that the server goes on with.
type Archive interface {
	Backup(ctx context.Context, p nimbus.Principal, w io.Writer) error
	Restore(ctx context.Context, p nimbus.Principal, r io.Reader) error
}

// Services are what the API puts on the network. All are required.
type Services struct {
	Functions   Functions
	Invoker     Invoker
	Invocations Invocations
	Keys        Keys
	Logs        Logs
	Runtimes    Runtimes
	Drivers     []Driver
	Archive     Archive
	Pool        Pool
	Settings    Settings
	Metrics     http.Handler                // answers /metrics
	Ready       func(context.Context) error // nil once calls can be served
}

// Config describes the installation.
type Config struct {
	Version   string // of this build
	Limits    nimbus.Limits
	Uploads   *Uploads // required
	StartedAt time.Time
	Stopping  <-chan struct{} // closed when the server starts to stop: followed logs end; nil = never
}

type api struct {
	Services
	identity transport.Identity
	problems *problem.Writer
	cfg      Config
	answers  sync.Pool // *[]byte: answers of invocations are built in them
	document func() ([]byte, error)
	page     func() ([]byte, error)
}

// New returns the handler of everything that is not a function URL.
func New(services Services, identity transport.Identity, problems *problem.Writer, cfg Config) http.Handler {
	a := &api{Services: services, identity: identity, problems: problems, cfg: cfg,
		answers: sync.Pool{New: func() any { return new([]byte) }}}
	doc := newDocument(cfg.Version)
	operations := a.operations(doc.Components.Schemas)
	for i := range operations {
		doc.AddOperation(&operations[i].doc)
	}
	for _, op := range functionURLs(doc.Components.Schemas) {
		doc.AddOperation(op)
	}
	settle(doc.Components.Schemas)
	// Few ask for these, and a server's start need not wait for them.
	a.document = sync.OnceValues(func() ([]byte, error) { return json.MarshalIndent(doc, "", "  ") })
	a.page = sync.OnceValues(func() ([]byte, error) { return referencePage(doc) })
	return a.mux(operations)
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // it is no HTML
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header().Set("Content-Type", mediaJSON)
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the client is gone when this fails
	return nil
}
