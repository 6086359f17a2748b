package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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
	line, _, _ = strings.Cut(line, " # ") // a comment
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
