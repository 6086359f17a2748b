package api

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nimbus"
	"nimbus/internal/function"
	"nimbus/internal/transport"
)

func TestCreateFunction(t *testing.T) {
	t.Parallel()
	f := &fakes{}
	w := request{method: "POST", path: "/api/v1/functions?namespace=team", body: `{"name":"hello","code":"x","memory_mb":512,
		"env_vars":{},"tags":["a"],"idle_timeout":"90s","capture":"all","description":null}`}.send(t, f)
	if w.Code != 201 || w.Header().Get("Location") != "/api/v1/functions/"+testID(1).String()+"?namespace=default" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	want := function.Input{Code: new("x"), MemoryMB: new(int64(512)), EnvVars: map[string]string{}, Tags: []string{"a"},
		IdleTimeout: new(90 * time.Second), Capture: new(nimbus.CaptureAll)}
	if diff := cmp.Diff(want, f.function); diff != "" || f.name != "hello" || f.namespace != "team" {
		t.Errorf("%s in %s (-want +got):\n%s", f.name, f.namespace, diff)
	}
}

func TestUpdateChangesOnlyWhatIsGiven(t *testing.T) {
	t.Parallel()
	f := &fakes{}
	w := request{method: "PUT", path: "/api/v1/functions/hello", body: `{"status":"inactive"}`}.send(t, f)
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if diff := cmp.Diff(function.Input{Status: new(nimbus.StatusInactive)}, f.function); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if f.ref != (function.Ref{Function: "hello"}) {
		t.Errorf("changed %+v", f.ref)
	}
}

func TestDeleteFunction(t *testing.T) {
	t.Parallel()
	f := &fakes{}
	w := request{method: "DELETE", path: "/api/v1/functions/hello", headers: map[string]string{"X-Nimbus-Namespace": "team"}}.send(t, f)
	if w.Code != 204 || w.Body.Len() != 0 || f.ref != (function.Ref{Namespace: "team", Function: "hello"}) {
		t.Errorf("%d %q, deleted %+v", w.Code, w.Body, f.ref)
	}
}

func TestListFunctions(t *testing.T) {
	t.Parallel()
	f := &fakes{}
	w := request{method: "GET", path: "/api/v1/functions?name=he&tags=a&tags=b&runtime=python3.11&status=active&limit=7&cursor=c"}.send(t, f)
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	want := function.Query{Name: "he", Tags: []string{"a", "b"}, Runtime: "python3.11",
		Status: nimbus.StatusActive, Page: nimbus.Page{Limit: 7, Cursor: "c"}}
	if diff := cmp.Diff(want, f.query); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBadFunctionBodies(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]struct {
		code   nimbus.Code
		field  string
		detail string
	}{
		``:                                {nimbus.CodeBadRequest, "", "empty"},
		`[]`:                              {nimbus.CodeBadRequest, "", "object"},
		`null`:                            {nimbus.CodeBadRequest, "", "object"},
		"{\n\"name\": hello}":             {nimbus.CodeBadRequest, "", "line 2, column 9"},
		`{"name":"hello"`:                 {nimbus.CodeBadRequest, "", "unexpected end"},
		`{"name":"hello"} more`:           {nimbus.CodeBadRequest, "", "column 18"},
		"{\"name\":\"\xff\"}":             {nimbus.CodeBadRequest, "", "UTF-8"},
		`{}`:                              {nimbus.CodeInvalid, "name", "required"},
		`{"name":"a","memory":1}`:         {nimbus.CodeInvalid, "memory", "is no field here"},
		`{"name":"a","memry_mb":1}`:       {nimbus.CodeInvalid, "memry_mb", "did you mean memory_mb?"},
		`{"name":"a","Memory_MB":1}`:      {nimbus.CodeInvalid, "Memory_MB", "did you mean memory_mb?"},
		`{"name":"a","memory_mb":"1"}`:    {nimbus.CodeInvalid, "memory_mb", "must be a whole number"},
		`{"name":"a","memory_mb":1.5}`:    {nimbus.CodeInvalid, "memory_mb", "must be a whole number"},
		`{"name":"a","memory_mb":1e99}`:   {nimbus.CodeInvalid, "memory_mb", "must be a whole number"},
		`{"name":5}`:                      {nimbus.CodeInvalid, "name", "must be a string"},
		`{"name":"a","tags":"x"}`:         {nimbus.CodeInvalid, "tags", "must be an array"},
		`{"name":"a","env_vars":{"A":1}}`: {nimbus.CodeInvalid, "env_vars", "must be an object"},
		`{"name":"a","idle_timeout":"x"}`: {nimbus.CodeInvalid, "idle_timeout", "duration"},
		`{"name":"a","name":"b"}`:         {nimbus.CodeInvalid, "name", "more than once"},
		`{"nam\u0065":"a","name":"a"}`:    {nimbus.CodeInvalid, "name", "more than once"},
		`{"name":"a","binary":"?"}`:       {nimbus.CodeInvalid, "binary", "must be base64"},
		`{"name":"a","toolchain":"gcc"}`:  {nimbus.CodeInvalid, "toolchain", "set by Nimbus"},
		`{"name":"a","retry":{}}`:         {nimbus.CodeInvalid, "retry", "not supported"},
		`{"name":"a","http_path":"/"}`:    {nimbus.CodeInvalid, "http_path", "not supported"},
		`{"name":"a","version":1}`:        {nimbus.CodeInvalid, "version", "set by Nimbus"},
		`{"name":"a","namespace":"b"}`:    {nimbus.CodeInvalid, "namespace", "?namespace="},
		`{"name":"a","status":"active"}`:  {nimbus.CodeInvalid, "status", "update"},
		`{"name":"` + strings.Repeat("x", int(binaryLimit(testLimits()))) + `"}`: {nimbus.CodeTooLarge, "", "bytes at most"},
	} {
		w := request{method: "POST", path: "/api/v1/functions", body: body}.send(t, &fakes{})
		d := problemOf(t, w)
		text := d.Detail
		if want.field != "" {
			if len(d.Errors) != 1 || d.Errors[0].Field != want.field {
				t.Errorf("%.60q: fields %v", body, d.Errors)
				continue
			}
			text = d.Errors[0].Detail
		}
		if d.Code != want.code || !strings.Contains(text, want.detail) {
			t.Errorf("%.60q: %+v", body, d)
		}
	}
}

func TestCreateFunctionOfABinary(t *testing.T) {
	t.Parallel()
	// Larger than any JSON without one may be.
	program := append([]byte("\x7fELF"), bytes.Repeat([]byte{0xff}, int(jsonLimit(testLimits())))...)
	f := &fakes{}
	body := fmt.Sprintf(`{"name":"a","binary":%q,"min_instances":2,"instance_concurrency":10}`, base64.StdEncoding.EncodeToString(program))
	if w := (request{method: "POST", path: "/api/v1/functions", body: body}).send(t, f); w.Code != 201 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	want := function.Input{MinInstances: new(2), InstanceConcurrency: new(10)}
	if diff := cmp.Diff(want, f.function); diff != "" || !bytes.Equal(f.binary, program) {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSlowBodiesHoldNobodyUp: those that are large, or may be, take their turn once they are there.
func TestSlowBodiesHoldNobodyUp(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newServer(t, &fakes{}, transport.Anyone{}, nil))
	t.Cleanup(server.Close)
	post := func(body io.Reader) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/api/v1/functions", body)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	patient := server.Client().Transport.(*http.Transport).Clone()
	patient.ExpectContinueTimeout = time.Minute // until the server reads
	t.Cleanup(patient.CloseIdleConnections)
	var slow sync.WaitGroup
	var senders []*io.PipeWriter
	for range 4 {
		body, sender := io.Pipe() // of a length that nobody knows
		slow.Go(func() {
			r := post(body)
			r.Header.Set("Expect", "100-continue")
			answer, err := (&http.Client{Transport: patient}).Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			if _ = answer.Body.Close(); answer.StatusCode != http.StatusCreated {
				t.Errorf("a slow one: %s", answer.Status)
			}
		})
		if _, err := io.WriteString(sender, `{"name":"a"`); err != nil {
			t.Fatal(err)
		}
		senders = append(senders, sender)
	}
	quick := server.Client()
	quick.Timeout = 10 * time.Second
	answer, err := quick.Do(post(io.MultiReader(strings.NewReader(`{"name":"b"}`))))
	if err != nil {
		t.Fatal(err)
	}
	if _ = answer.Body.Close(); answer.StatusCode != http.StatusCreated {
		t.Errorf("a quick one: %s", answer.Status)
	}
	for _, sender := range senders {
		if _, err := io.WriteString(sender, "}"); err != nil {
			t.Error(err)
		}
		_ = sender.Close() // a pipe's never fails
	}
	slow.Wait()
}

// TestPreferRespondAsync: who prefers so is answered before the build has ended; for everyone else the answer
// waits, and says what came of it.
func TestPreferRespondAsync(t *testing.T) {
	t.Parallel()
	building := testFunction()
	building.Status, building.StatusMessage, building.Build = nimbus.StatusBuilding, "version 1 is being built", testID(9)
	failed := testFunction()
	failed.Status, failed.StatusMessage = nimbus.StatusFailed, "main.go:3:1: no"
	for name, c := range map[string]struct {
		method, path string
		prefer       string
		answer       *nimbus.Function
		async        bool
		status       int
	}{
		"create":                  {"POST", "/api/v1/functions", "respond-async", building, true, 202},
		"update":                  {"PUT", "/api/v1/functions/a", "respond-async", building, true, 202},
		"among others":            {"POST", "/api/v1/functions", `handling=lenient, Respond-Async; x="y"`, building, true, 202},
		"nothing to build":        {"POST", "/api/v1/functions", "respond-async", testFunction(), true, 201},
		"nothing to build anew":   {"PUT", "/api/v1/functions/a", "respond-async", testFunction(), true, 200},
		"waited for":              {"POST", "/api/v1/functions", "", failed, false, 201},
		"an update, waited for":   {"PUT", "/api/v1/functions/a", "", failed, false, 200},
		"another preference":      {"POST", "/api/v1/functions", "return=minimal", failed, false, 201},
		"a word that begins so":   {"POST", "/api/v1/functions", "respond-asynchronously", failed, false, 201},
		"the value of another is": {"POST", "/api/v1/functions", "x=respond-async", failed, false, 201},
	} {
		f := &fakes{answer: c.answer}
		body := `{"code":"x"}`
		if c.method == "POST" {
			body = `{"name":"a","code":"x"}`
		}
		w := request{method: c.method, path: c.path, body: body, headers: map[string]string{"Prefer": c.prefer}}.send(t, f)
		applied := ""
		if c.status == 202 {
			applied = "respond-async"
		}
		if w.Code != c.status || f.function.Async != c.async || w.Header().Get("Preference-Applied") != applied {
			t.Errorf("%s: %d %v, asked with async %v", name, w.Code, w.Header(), f.function.Async)
		}
		if !strings.Contains(w.Body.String(), `"status":"`+string(c.answer.Status)+`"`) || !strings.Contains(w.Body.String(), c.answer.StatusMessage) {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
}

// What GET shows can be sent back as it is, with changes or without.
func TestWhatIsShownCanBeSentBack(t *testing.T) {
	t.Parallel()
	shown := request{method: "GET", path: "/api/v1/functions/hello"}.send(t, &fakes{}).Body.String()
	f := &fakes{}
	w := request{method: "PUT", path: "/api/v1/functions/hello", body: shown}.send(t, f)
	if w.Code != 200 || f.function.Version == nil || *f.function.Version != 3 || *f.function.IdleTimeout != 2*time.Minute {
		t.Fatalf("%d %s: %+v", w.Code, w.Body, f.function)
	}
	// Of an old version all may differ; the use case says that it is old.
	stale := strings.NewReplacer(`"version":3`, `"version":2`, `09:30:00`, `09:00:00`).Replace(shown)
	if w := (request{method: "PUT", path: "/api/v1/functions/hello", body: stale}).send(t, f); w.Code != 200 || *f.function.Version != 2 {
		t.Errorf("an old version: %d %s", w.Code, w.Body)
	}
	for body, field := range map[string]string{
		`{"name":"b"}`:              "name",
		`{"name":"Hello"}`:          "name",
		`{"id":"x"}`:                "id",
		`{"namespace":"b"}`:         "namespace",
		`{"code_hash":"ab"}`:        "code_hash",
		`{"status_message":"done"}`: "status_message",
		`{"toolchain":"gcc"}`:       "toolchain",
		`{"created_at":"now"}`:      "created_at",
		`{"updated_at":null,"created_at":"2026-11-20T08:30:00Z"}`: "created_at",
		`{"version":"3"}`: "version",
	} {
		w := request{method: "PUT", path: "/api/v1/functions/hello", body: body}.send(t, &fakes{})
		if d := problemOf(t, w); w.Code != 422 || len(d.Errors) != 1 || d.Errors[0].Field != field {
			t.Errorf("%s: %+v", body, d)
		}
	}
}

func TestEveryFieldNotBuiltIsRefusedByName(t *testing.T) {
	t.Parallel()
	// The names are those of the function's JSON in the surface document that are not settable yet.
	for _, name := range strings.Split("cron_expression,http_path,http_methods,environment,"+
		"package,image_url,layers,secrets,egress,retry", ",") {
		w := request{method: "PUT", path: "/api/v1/functions/a", body: fmt.Sprintf("{%q:1}", name)}.send(t, &fakes{})
		if d := problemOf(t, w); w.Code != 422 || len(d.Errors) != 1 || d.Errors[0].Field != name {
			t.Errorf("%s: %d %+v", name, w.Code, d)
		}
	}
}

func TestContentTypes(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]int{
		"":                                  201,
		"application/json":                  201,
		"application/json; charset=utf-8":   201,
		"application/vnd.nimbus+json":       201,
		"application/x-www-form-urlencoded": 415,
		"text/plain":                        415,
		";;":                                415,
	} {
		q := request{method: "POST", path: "/api/v1/functions", body: `{"name":"a"}`, headers: map[string]string{}}
		if contentType != "" {
			q.headers["Content-Type"] = contentType
		}
		if w := q.send(t, &fakes{}); w.Code != want {
			t.Errorf("%q: %d %s", contentType, w.Code, w.Body)
		}
	}
}

// part is one part of a form.
type part struct{ name, file, contentType, data string }

func formRequest(t *testing.T, method, path string, parts ...part) request {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, p := range parts {
		disposition := fmt.Sprintf("form-data; name=%q", p.name)
		if p.file != "" {
			disposition += fmt.Sprintf("; filename=%q", p.file)
		}
		header := textproto.MIMEHeader{"Content-Disposition": {disposition}}
		if p.contentType != "" {
			header.Set("Content-Type", p.contentType)
		}
		w, err := form.CreatePart(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(p.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return request{method: method, path: path, body: body.String(), headers: map[string]string{"Content-Type": form.FormDataContentType()}}
}

func TestForms(t *testing.T) {
	t.Parallel()
	settings := part{name: "function", contentType: "application/json", data: `{"name":"hello","memory_mb":512,"tags":["a"]}`}
	zip := part{name: "code", file: "code.zip", contentType: "application/zip", data: "PK\x03\x04rest"}
	for name, c := range map[string]struct {
		parts   []part
		want    function.Input
		archive string
		binary  string
	}{
		"settings and zip": {[]part{settings, zip}, function.Input{MemoryMB: new(int64(512)), Tags: []string{"a"}}, zip.data, ""},
		"zip first":        {[]part{zip, settings}, function.Input{MemoryMB: new(int64(512)), Tags: []string{"a"}}, zip.data, ""},
		"settings as file": {[]part{{name: "function", file: "f.json", data: settings.data}, zip}, function.Input{MemoryMB: new(int64(512)), Tags: []string{"a"}}, zip.data, ""},
		"zip by its bytes": {[]part{{name: "name", data: "hello"}, {name: "code", file: "blob", data: "PK\x03\x04"}}, function.Input{}, "PK\x03\x04", ""},
		"broken zip":       {[]part{{name: "name", data: "hello"}, {name: "code", file: "a.zip", data: "oops"}}, function.Input{}, "oops", ""},
		"fields": {[]part{{name: "name", data: "hello"}, {name: "memory_mb", data: "512"}, {name: "description", data: "5"},
			{name: "tags", data: "a"}, {name: "tags", data: "b"}, {name: "env_vars", data: `{"A":"1"}`}, {name: "code", data: "def f(): pass"}},
			function.Input{MemoryMB: new(int64(512)), Description: new("5"), Tags: []string{"a", "b"}, EnvVars: map[string]string{"A": "1"}, Code: new("def f(): pass")}, "", ""},
		"tags as json": {[]part{{name: "name", data: "hello"}, {name: "tags", data: `["a","b"]`}}, function.Input{Tags: []string{"a", "b"}}, "", ""},
		"program":      {[]part{{name: "name", data: "hello"}, {name: "code", file: "main", data: "\x7fELF\xff"}}, function.Input{}, "", "\x7fELF\xff"},
		"wasm":         {[]part{{name: "name", data: "hello"}, {name: "code", file: "a.wasm", data: "\x00asm\x01"}}, function.Input{}, "", "\x00asm\x01"},
		"source file":  {[]part{{name: "name", data: "hello"}, {name: "code", file: "handler.py", data: "def f(): pass"}}, function.Input{Code: new("def f(): pass")}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fakes{}
			w := formRequest(t, "POST", "/api/v1/functions", c.parts...).send(t, f)
			if w.Code != 201 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if diff := cmp.Diff(c.want, f.function); diff != "" || string(f.archive) != c.archive || string(f.binary) != c.binary || f.name != "hello" {
				t.Errorf("%s, archive %q, binary %q (-want +got):\n%s", f.name, f.archive, f.binary, diff)
			}
		})
	}
}

func TestBadForms(t *testing.T) {
	t.Parallel()
	name := part{name: "name", data: "hello"}
	for title, c := range map[string]struct {
		parts  []part
		status int
	}{
		"unknown field":      {[]part{name, {name: "memory", data: "1"}}, 422},
		"wrong type":         {[]part{name, {name: "memory_mb", data: "lots"}}, 422},
		"not supported":      {[]part{name, {name: "cron_expression", data: "* * * * *"}}, 422},
		"no name":            {[]part{{name: "code", data: "x"}}, 422},
		"settings not JSON":  {[]part{{name: "function", data: "{"}}, 400},
		"settings twice":     {[]part{{name: "function", data: `{"name":"a"}`}, {name: "function", data: `{}`}}, 400},
		"name twice":         {[]part{name, {name: "function", data: `{"name":"b"}`}}, 400},
		"code twice":         {[]part{name, {name: "code", data: "x"}, {name: "code", file: "c.zip", data: "PK\x03\x04"}}, 400},
		"code binary":        {[]part{name, {name: "code", file: "a.out", data: "MZ\xff"}}, 400},
		"program too large":  {[]part{name, {name: "code", file: "main", data: "\x7fELF" + strings.Repeat("x", int(2*nimbus.MiB))}}, 413},
		"program and zip":    {[]part{name, {name: "code", file: "main", data: "\x7fELF"}, {name: "code", file: "c.zip", data: "PK"}}, 400},
		"archive too large":  {[]part{name, {name: "code", file: "c.zip", data: "PK" + strings.Repeat("x", int(2*nimbus.MiB))}}, 413},
		"two files of code":  {[]part{name, {name: "code", file: "c.zip", data: "PK"}, {name: "code", file: "d.zip", data: "PK"}}, 400},
		"settings repeat":    {[]part{{name: "function", data: `{"name":"a","name":"b"}`}}, 422},
		"repeated, no array": {[]part{name, {name: "handler", data: "a"}, {name: "handler", data: "b"}}, 422},
	} {
		w := formRequest(t, "POST", "/api/v1/functions", c.parts...).send(t, &fakes{})
		if d := problemOf(t, w); w.Code != c.status {
			t.Errorf("%s: %d %+v", title, w.Code, d)
		}
	}
	torn := formRequest(t, "POST", "/api/v1/functions", name)
	torn.body = torn.body[:len(torn.body)-8]
	if w := torn.send(t, &fakes{}); w.Code != 400 {
		t.Errorf("torn: %d %s", w.Code, w.Body)
	}
}

func FuzzDecodeFunction(f *testing.F) {
	f.Add([]byte(`{"name":"a","memory_mb":512,"tags":["x"],"env_vars":{"A":"1"}}`))
	f.Add([]byte(`{"name":null,"tags":null}`))
	f.Add([]byte("{\n\"name\": }"))
	f.Add([]byte(`{"name":"a","name":"b"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		fields, err := parseObject("the body", lifted{rest: body})
		if err != nil {
			if code := nimbus.CodeOf(err); code != nimbus.CodeBadRequest && code != nimbus.CodeInvalid {
				t.Fatalf("%v", err)
			}
			return
		}
		in, err := decodeFields[functionInput](fields, refusedFields())
		if err == nil {
			_, err = in.useCase()
		}
		if err != nil && nimbus.CodeOf(err) != nimbus.CodeInvalid {
			t.Fatalf("%v", err)
		}
	})
}
