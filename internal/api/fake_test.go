package api

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"nimbus"
	"nimbus/internal/auth"
	"nimbus/internal/driver"
	"nimbus/internal/function"
	"nimbus/internal/invoke"
	"nimbus/internal/obs"
	"nimbus/internal/problem"
	"nimbus/internal/runtime"
	"nimbus/internal/transport"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakes stand for every use case. They note what they were asked and answer with what they hold.
type fakes struct {
	mu       sync.Mutex     // guards what creating and changing note
	function function.Input // short of its files
	name     string
	ref      function.Ref
	query    function.Query
	archive  []byte
	binary   []byte
	records  invoke.Query
	key      auth.KeyInput
	logs     obs.LogQuery
	page     nimbus.Page
	request  *invoke.Request
	namespace,
	qualifier string
	principal nimbus.Principal
	restored  []byte

	err     error                   // what every use case returns, when set
	answer  *nimbus.Function        // of creating and changing; nil = testFunction
	uploads string                  // the directory; "" = a new one
	limits  nimbus.Limits           // zero = testLimits
	hold    func(in function.Input) // in the place of noting what was given
	created func()                  // called while a function is created or changed
	call    func(ctx context.Context, req *invoke.Request) (*invoke.Result, error)
	follow  func(ctx context.Context) iter.Seq2[obs.LogLine, error]
	backup  func(w io.Writer) error
	ready   error
}

// moment is when everything was made.
var moment = time.Date(2026, 11, 20, 8, 30, 0, 123456000, time.UTC)

func testID(last byte) nimbus.ID {
	return nimbus.ID{0x01, 0x90, 0xb5, 0xa0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, last}
}

func testFunction() *nimbus.Function {
	return &nimbus.Function{
		ID: testID(1), Tenant: "default", Namespace: "default", Name: "hello", Status: nimbus.StatusActive,
		CreatedAt: moment, UpdatedAt: moment.Add(time.Hour),
		Version: nimbus.Version{
			FunctionID: testID(1), Number: 3, CreatedAt: moment,
			Package: nimbus.Package{Hash: strings.Repeat("ab", 32), Size: 123, Inline: "handler.py"},
			Settings: nimbus.Settings{
				Description: "says <hello> & more", Runtime: "python3.11", Handler: "handler.handle",
				Memory: 256 * nimbus.MiB, Timeout: 30 * time.Second, Env: map[string]string{"B": "2", "A": "1"},
				Tags: []string{"demo", "web"}, MaxConcurrency: 10, IdleTimeout: 2 * time.Minute, CPUMilli: 500,
				Tmp: 512 * nimbus.MiB, Driver: "sandbox", Capture: nimbus.CaptureErrors, EventFormat: nimbus.EventFormatV2,
			},
		},
	}
}

func testInvocation() *nimbus.Invocation {
	return &nimbus.Invocation{
		ID: testID(2), Namespace: "default", FunctionID: testID(1), FunctionName: "hello", Version: 3, Attempt: 1,
		TriggerType: nimbus.TriggerHTTP, Status: nimbus.InvocationFailed, Input: []byte(`{"a": 1}`), Output: []byte(`{"cut": "sho`),
		Error: "no", ErrorType: "ValueError", ColdStart: true, InstanceID: "i-1",
		CreatedAt: moment, StartedAt: moment.Add(time.Millisecond), CompletedAt: moment.Add(5 * time.Millisecond),
		Duration: 3250 * time.Microsecond, Billed: 4 * time.Millisecond,
		Memory: nimbus.MemoryUse{Peak: 20*nimbus.MiB + nimbus.MiB/4, Instance: true}, CPU: 1500 * time.Microsecond,
		TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
		Phases:  nimbus.Phases{Hold: time.Millisecond, Claim: 300 * time.Microsecond, Attach: 200 * time.Microsecond, Init: 700 * time.Microsecond},
	}
}

// What the fakes stand for.
var (
	_ Functions   = (*function.Service)(nil)
	_ Invoker     = (*invoke.Service)(nil)
	_ Invocations = (*invoke.Service)(nil)
	_ Keys        = (*auth.Service)(nil)
	_ Logs        = (*obs.LogStore)(nil)
)

type functions struct{ *fakes }

func (f functions) take(p nimbus.Principal, in function.Input) (*nimbus.Function, error) {
	if f.created != nil {
		f.created()
	}
	if f.hold != nil {
		f.hold(in)
		return testFunction(), nil
	}
	var archive, binary []byte
	var err error
	if in.Archive != nil {
		archive, err = io.ReadAll(in.Archive)
	}
	if in.Binary != nil && err == nil {
		binary, err = io.ReadAll(in.Binary)
	}
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	in.Archive, in.Binary = nil, nil
	f.principal, f.function, f.archive, f.binary = p, in, archive, binary
	if f.answer != nil {
		return f.answer, f.err
	}
	return testFunction(), f.err
}

func (f functions) Create(_ context.Context, p nimbus.Principal, namespace, name string, in function.Input) (*nimbus.Function, error) {
	f.mu.Lock()
	f.namespace, f.name = namespace, name
	f.mu.Unlock()
	return f.take(p, in)
}

func (f functions) Update(_ context.Context, p nimbus.Principal, ref function.Ref, in function.Input) (*nimbus.Function, error) {
	f.ref = ref
	return f.take(p, in)
}

func (f functions) Get(_ context.Context, p nimbus.Principal, ref function.Ref) (*nimbus.Function, error) {
	f.principal, f.ref = p, ref
	return testFunction(), f.err
}

func (f functions) Code(context.Context, nimbus.Principal, function.Ref) (string, error) {
	return "def handle(event):\n    return 1\n", nil
}

func (f functions) List(_ context.Context, _ nimbus.Principal, q function.Query) (nimbus.List[nimbus.Function], error) {
	f.query = q
	return nimbus.List[nimbus.Function]{Items: []nimbus.Function{*testFunction()}, Next: "more"}, f.err
}

func (f functions) Delete(_ context.Context, _ nimbus.Principal, ref function.Ref) error {
	f.ref = ref
	return f.err
}

type invoker struct{ *fakes }

func (f invoker) Resolve(_ context.Context, p nimbus.Principal, namespace, name, qualifier string) (*invoke.Target, error) {
	f.principal, f.namespace, f.name, f.qualifier = p, namespace, name, qualifier
	return &invoke.Target{FunctionID: testID(1), Version: &nimbus.Version{Number: 3}, VersionText: "3"}, f.err
}

func (f invoker) Invoke(ctx context.Context, _ nimbus.Principal, _ *invoke.Target, req *invoke.Request) (*invoke.Result, error) {
	f.request = req
	return f.call(ctx, req)
}

type invocations struct{ *fakes }

func (f invocations) Get(context.Context, nimbus.Principal, nimbus.ID) (*nimbus.Invocation, error) {
	return testInvocation(), f.err
}

func (f invocations) List(_ context.Context, _ nimbus.Principal, q invoke.Query) (nimbus.List[nimbus.Invocation], error) {
	f.records = q
	v := *testInvocation()
	v.Input, v.Output = nil, nil
	return nimbus.List[nimbus.Invocation]{Items: []nimbus.Invocation{v}}, f.err
}

type keys struct{ *fakes }

func testKey() nimbus.APIKey {
	return nimbus.APIKey{ID: testID(3), Name: "ci", Scopes: []nimbus.Scope{nimbus.ScopeWrite}, CreatedAt: moment, ExpiresAt: moment.Add(time.Hour)}
}

func (f keys) Create(_ context.Context, _ nimbus.Principal, in auth.KeyInput) (nimbus.APIKey, string, error) {
	f.key = in
	return testKey(), "nimbus_secret", f.err
}

func (f keys) List(context.Context, nimbus.Principal, nimbus.Page) (nimbus.List[nimbus.APIKey], error) {
	return nimbus.List[nimbus.APIKey]{Items: []nimbus.APIKey{testKey()}}, f.err
}

func (f keys) Delete(_ context.Context, _ nimbus.Principal, idOrName string) error {
	f.name = idOrName
	return f.err
}

type logs struct{ *fakes }

func testLine(text string) obs.LogLine {
	return obs.LogLine{Time: moment, Function: testID(1), Version: 3, Invocation: testID(2), Instance: "i-1", Stream: "stdout", Text: text}
}

func (f logs) Query(_ context.Context, q obs.LogQuery) (nimbus.List[obs.LogLine], error) {
	f.logs = q
	return nimbus.List[obs.LogLine]{Items: []obs.LogLine{testLine("one"), testLine("two")}, Next: "9"}, f.err
}

func (f logs) Tail(_ context.Context, q obs.LogQuery) (string, error) {
	return fmt.Sprint("last-", q.Limit), f.err
}

func (f logs) Follow(ctx context.Context, q obs.LogQuery) iter.Seq2[obs.LogLine, error] {
	f.logs = q
	return f.follow(ctx)
}

type runtimes struct{}

func (runtimes) List() []runtime.Runtime {
	return []runtime.Runtime{{Name: "python3.11", Language: runtime.Python, Version: "3.11.2", Path: "/usr/bin/python3.11",
		DefaultHandler: "handler.handle", Aliases: []string{"python3"}}, {Name: "nodejs22", Language: runtime.Node, Version: "22.1.0",
		Path: "/opt/node/bin/node", Trees: []string{"/opt/node/bin"}, DefaultHandler: "handler.handle"}}
}

func (runtimes) Toolchains() []runtime.Toolchain {
	return []runtime.Toolchain{{Language: runtime.Go, Version: "1.26.8", Path: "/opt/go/bin/go", Trees: []string{"/opt/go"}}}
}

func (runtimes) Rejected() []runtime.Rejected {
	return []runtime.Rejected{{Path: "/usr/bin/python3.6", Reason: "3.6.9 is too old; 3.8 or later is needed"}}
}

type sandbox struct{}

func (sandbox) Name() string { return "sandbox" }

func (sandbox) Probe(context.Context) driver.Report {
	return driver.Report{Healthy: true, Features: []driver.Feature{{Name: "memory limit", OK: true, Detail: "cgroup v1"}}}
}

type archive struct{ *fakes }

func (f archive) Backup(_ context.Context, _ nimbus.Principal, w io.Writer) error { return f.backup(w) }

func (f archive) Restore(_ context.Context, _ nimbus.Principal, r io.Reader) error {
	data, err := io.ReadAll(r)
	f.restored = data
	if err != nil {
		return err
	}
	return f.err
}

// testLimits are small, so that bounds can be reached.
func testLimits() nimbus.Limits {
	l := nimbus.DefaultLimits()
	l.InlineCode, l.Env, l.Archive, l.Event = 1024, 1024, 2*nimbus.MiB, 2048
	return l
}

// newServer is the API behind everything a request passes before it.
func newServer(t testing.TB, f *fakes, identity transport.Identity, stopping <-chan struct{}) http.Handler {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	problems := problem.NewWriter(log)
	if f.uploads == "" {
		f.uploads = t.TempDir()
	}
	uploads, err := OpenUploads(f.uploads)
	if err != nil {
		t.Fatal(err)
	}
	limits := f.limits
	if limits == (nimbus.Limits{}) {
		limits = testLimits()
	}
	h := New(Services{
		Functions: functions{f}, Invoker: invoker{f}, Invocations: invocations{f}, Keys: keys{f}, Logs: logs{f},
		Runtimes: runtimes{}, Drivers: []Driver{sandbox{}}, Archive: archive{f}, Pool: instances{f}, Settings: configuration{f},
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "nimbus_up 1") }),
		Ready:   func(context.Context) error { return f.ready },
	}, identity, problems, Config{Version: "1.2.3", Limits: limits, Uploads: uploads, Stopping: stopping})
	return transport.New(h, http.NotFoundHandler(), transport.Deps{Problems: problems, Requests: obs.NewMetrics(), Log: log})
}

// request is one request of a test.
type request struct {
	method, path, body string
	headers            map[string]string
}

func (q request) send(t testing.TB, f *fakes) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(q.method, q.path, strings.NewReader(q.body))
	for k, v := range q.headers {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	newServer(t, f, transport.Anyone{}, nil).ServeHTTP(w, r)
	return w
}

// problemOf reads an answer that must be a problem.
func problemOf(t testing.TB, w *httptest.ResponseRecorder) problem.Details {
	t.Helper()
	var d problem.Details
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || w.Header().Get("Content-Type") != problem.ContentType ||
		d.Status != w.Code || d.RequestID != w.Header().Get("X-Request-Id") {
		t.Fatalf("no problem: %d %s", w.Code, w.Body)
	}
	return d
}

// golden compares JSON with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	var indented bytes.Buffer
	if err := json.Indent(&indented, bytes.TrimSpace(got), "", "  "); err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	indented.WriteByte('\n')
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, indented.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), indented.String()); diff != "" {
		t.Errorf("differs from %s (-want +got):\n%s", path, diff)
	}
}
