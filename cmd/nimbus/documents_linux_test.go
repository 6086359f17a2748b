package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"nimbus/internal/testenv"
)

// TestDocumentedCommandsAreTaken reads every command line of the documents as the command line would.
func TestDocumentedCommandsAreTaken(t *testing.T) {
	t.Parallel()
	lines := map[string]string{} // where one was found
	command := regexp.MustCompile(`(?m)^(?:    |\$ )(?:sudo )?(nimbus .*)$`)
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*/*.md"} {
		files, err := filepath.Glob(filepath.Join("..", "..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range command.FindAllStringSubmatch(string(text), -1) {
				lines[found[1]] = file
			}
		}
	}
	for _, verb := range verbs() {
		for line := range strings.Lines(verb.Example) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "nimbus ") {
				lines[line] = verb.CommandPath()
			}
		}
	}
	if len(lines) < 20 {
		t.Errorf("only %d lines were found", len(lines))
	}
	for line, where := range lines {
		if err := accepts(line); err != nil {
			t.Errorf("%s: %s: %v", where, line, err)
		}
	}
}

// accepts finds the verb of a line and has it look at its flags and arguments.
func accepts(line string) error {
	line, _, _ = strings.Cut(line, " > ") // the shell's business
	words := regexp.MustCompile(`'[^']*'|[^\s']+`).FindAllString(line, -1)
	for i, word := range words {
		words[i] = strings.Trim(word, "'")
	}
	verb, rest, err := newRootCommand(&cli{out: io.Discard, err: io.Discard, getenv: func(string) string { return "" }}).Find(words[1:])
	if err != nil {
		return err
	}
	if verb.HasSubCommands() {
		return unknownVerb(verb, strings.Join(rest, " "))
	}
	if err := verb.ParseFlags(rest); err != nil {
		return err
	}
	return verb.ValidateArgs(verb.Flags().Args())
}

func TestExamples(t *testing.T) {
	t.Parallel()
	testenv.RequireNode(t)
	s := startServer(t, t.TempDir(), "--config", offlineModules(t, filepath.Join("..", "..", "examples", "hello-go-lambda")))
	greets := func(name string) func(t *testing.T) {
		return func(t *testing.T) {
			if got := greeting(t, s.as(t).invoke(name, `{"name":"Ada"}`).Body); got != "Hello, Ada!" {
				t.Errorf("it says %q", got)
			}
		}
	}
	streams := func(path, contentType, want string) func(t *testing.T) {
		return func(t *testing.T) {
			status, header, body := s.as(t).request(http.MethodGet, path, "")
			if status != 200 || header.Get("Content-Type") != contentType || string(body) != want {
				t.Errorf("it answers %d %v %q", status, header, body)
			}
		}
	}
	for name, example := range map[string]struct {
		flags []string
		works func(t *testing.T)
	}{
		"hello-assemblyscript": {nil, greets("hello-assemblyscript")},
		"hello-go":             {nil, greets("hello-go")},
		"hello-go-lambda":      {nil, greets("hello-go-lambda")},
		"hello-node":           {nil, greets("hello-node")},
		"hello-python":         {nil, greets("hello-python")},
		"hello-wasm":           {nil, greets("hello-wasm")},
		"hello-wasm-c":         {nil, greets("hello-wasm-c")},
		"hello-custom": {nil, func(t *testing.T) {
			if body := s.as(t).invoke("hello-custom", `{"name":"Ada"}`).Body; string(body) != `{"you_sent":{"name":"Ada"}}` {
				t.Errorf("it answers %s", body)
			}
		}},
		"primes-python": {nil, func(t *testing.T) {
			var got struct{ Count, Largest int }
			body := s.as(t).invoke("primes-python", `{"below":100}`).Body
			if err := json.Unmarshal(body, &got); err != nil || got.Count != 25 || got.Largest != 97 {
				t.Errorf("it answers %s", body)
			}
		}},
		"stream-python":  {nil, streams("/fn/default/stream-python", "text/plain; charset=utf-8", "3...\n2...\n1...\nlift-off\n")},
		"fission-python": {nil, streams("/fn/default/fission-python?name=Ada", "text/html; charset=utf-8", "Hello, Ada!\n")},
		"nuclio-python":  {nil, streams("/fn/default/nuclio-python", "application/json", `{"message": "Hello, world!"}`)},
		"functionbench-python": {nil, func(t *testing.T) {
			for _, bench := range []string{"aes", "json_text", "linpack", "matmul"} {
				var got struct{ Right bool }
				body := s.as(t).invoke("functionbench-python", `{"n":32,"bench":"`+bench+`"}`).Body
				if err := json.Unmarshal(body, &got); err != nil || !got.Right {
					t.Errorf("%s answers %s", bench, body)
				}
			}
		}},
	} {
		s.run(append([]string{"deploy", filepath.Join("..", "..", "examples", name)}, example.flags...)...)
		t.Run(name, example.works)
	}
	dirs, err := os.ReadDir(filepath.Join("..", "..", "examples"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if status, _, _ := s.request(http.MethodGet, "/api/v1/functions/"+dir.Name(), ""); status != http.StatusOK {
			t.Errorf("nothing tries examples/%s", dir.Name())
		}
	}
}

// offlineModules fetches what a module needs with the developer's own settings, and returns a configuration
// with which the server finds it on this machine, as long as the test runs.
func offlineModules(t *testing.T, dir string) string {
	t.Helper()
	toolchain := testenv.RequireGo(t)
	download := exec.Command(toolchain, "mod", "download")
	download.Dir = dir
	if out, err := download.CombinedOutput(); err != nil {
		t.Fatalf("fetch the modules of %s: %v\n%s", dir, err, out)
	}
	cache, err := exec.Command(toolchain, "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	// By HTTP, because who fetches may not read the developer's files.
	proxy := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(strings.TrimSpace(string(cache)), "cache", "download"))))
	t.Cleanup(proxy.Close)
	config := filepath.Join(t.TempDir(), "nimbus.yaml")
	text := "build:\n  go_proxy: " + proxy.URL + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

// TestTraceGoesThroughEverything follows one call by its trace: response, handler, the server's log.
func TestTraceGoesThroughEverything(t *testing.T) {
	t.Parallel()
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	s := startServer(t, t.TempDir(), "--log-level", "debug")
	s.deploy("traced", "def handle(e, c):\n return [c.trace_id, c.request_id]\n")
	for _, path := range []string{"/api/v1/functions/traced/invoke", "/fn/default/traced"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		id := resp.Header.Get("X-Request-Id")
		if !strings.Contains(string(body), `["`+trace+`", "`+id+`"]`) && !strings.Contains(string(body), `["`+trace+`","`+id+`"]`) {
			t.Errorf("%s: the handler saw %s, the request was %s", path, body, id)
		}
		if !strings.HasPrefix(resp.Header.Get("Traceparent"), "00-"+trace+"-") {
			t.Errorf("%s: the response's trace is %s", path, resp.Header.Get("Traceparent"))
		}
		if out := s.run("invocation", "get", id, "-o", "json"); !strings.Contains(out, id) {
			t.Errorf("%s: the record is %s", path, out)
		}
	}
	s.stop()
	if n := strings.Count(s.stderr.String(), "trace_id="+trace); n < 2 {
		t.Errorf("the log names the trace %d times", n)
	}
}
