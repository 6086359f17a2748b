package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"nimbus/internal/testenv"
)

const greetsAda = `"message": ?"Hello, Ada!"`

// examples says of each directory of examples/ on which runtime it is to run, and what the commands of its README
// print, those after the first: that deploys it.
var examples = map[string]struct {
	runtime string
	says    []string
}{
	"fission-python":       {"python3", []string{`^Hello, Ada!\n$`}},
	"functionbench-python": {"python3", []string{`"right": true`, `^created +matmul, version 1 \(python3\.\d+, matmul\.lambda_handler`}},
	"hello-assemblyscript": {"wasm", []string{greetsAda}},
	"hello-custom":         {"custom", []string{`"you_sent": \{\s+"name": "Ada"`}},
	"hello-go":             {"go1", []string{greetsAda, greetsAda}},
	"hello-go-lambda":      {"go1", []string{greetsAda}},
	"hello-node":           {"nodejs", []string{greetsAda, greetsAda}},
	"hello-python":         {"python3", []string{greetsAda, greetsAda}},
	"hello-wasm":           {"wasm", []string{greetsAda, greetsAda}},
	"hello-wasm-c":         {"wasm", []string{greetsAda}},
	"nuclio-python":        {"python3", []string{`^\{` + greetsAda + `\}$`}},
	"primes-python":        {"python3", []string{`"count": 9592`, `stdout +9592 primes below 100000\n`}},
	"stream-python":        {"python3", []string{`^3\.\.\.\n2\.\.\.\n1\.\.\.\nlift-off\n$`}},
}

// tryExamples does what the README of each example says.
func tryExamples(t *testing.T, s *server) {
	dirs, err := os.ReadDir(filepath.Join("..", "..", "examples"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		t.Run(dir.Name(), func(t *testing.T) {
			t.Parallel()
			example, known := examples[dir.Name()]
			if !known {
				t.Fatalf("what examples/%s answers is not known", dir.Name())
			}
			says := append([]string{"^created +" + dir.Name() + `, version 1 \(` + example.runtime}, example.says...)
			commands := readmeCommands(t, dir.Name())
			if len(commands) != len(says) {
				t.Fatalf("the README has the commands %q; known is what they say: %q", commands, says)
			}
			for i, command := range commands {
				s.as(t).shell(command, says[i])
			}
		})
	}
}

// readmeCommands returns the commands of an example's README.
func readmeCommands(t *testing.T, example string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", example, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		if command, indented := strings.CutPrefix(line, "    "); indented {
			found = append(found, strings.TrimSpace(command))
		}
	}
	return found
}

// shell runs a command as the documents have it, at the top of the repository, until it prints what it should. Only
// logs are asked for more than once: they come a moment after the answer.
func (s *server) shell(command, says string) {
	s.t.Helper()
	command = strings.ReplaceAll(command, "http://127.0.0.1:8080", s.url)
	wanted := regexp.MustCompile(says)
	run := func() (string, error) {
		cmd := exec.Command("sh", "-c", command)
		cmd.Dir = filepath.Join("..", "..")
		cmd.Env = append(os.Environ(), "NIMBUS_SERVER="+s.url)
		out, err := cmd.Output()
		return string(out), err
	}
	if strings.HasPrefix(command, "nimbus logs") {
		testenv.Eventually(s.t, 10*time.Second, func() bool { out, err := run(); return err == nil && wanted.MatchString(out) })
		return
	}
	if out, err := run(); err != nil || !wanted.MatchString(out) {
		s.t.Errorf("%s: %v, it prints %q, want %s", command, err, out, says)
	}
}

// tryShapes looks at more of what the deployed examples answer than their READMEs show.
func tryShapes(t *testing.T, s *server) {
	for path, contentType := range map[string]string{
		"stream-python":           "text/plain; charset=utf-8",
		"fission-python?name=Ada": "text/html; charset=utf-8",
		"nuclio-python":           "application/json",
	} {
		if status, header, body := s.request(http.MethodGet, "/fn/default/"+path, ""); status != 200 || header.Get("Content-Type") != contentType {
			t.Errorf("%s answers %d %v %q", path, status, header, body)
		}
	}
	for _, bench := range []string{"aes", "json_text", "linpack", "matmul"} {
		var got struct{ Right bool }
		body := s.invoke("functionbench-python", `{"n":32,"bench":"`+bench+`"}`).Body
		if err := json.Unmarshal(body, &got); err != nil || !got.Right {
			t.Errorf("%s answers %s", bench, body)
		}
	}
	for name := range examples { // every hello is a web page too
		if !strings.HasPrefix(name, "hello-") {
			continue
		}
		if status, _, body := s.request(http.MethodGet, "/fn/default/"+name+"?name=Ada", ""); status != 200 || !strings.Contains(string(body), "Ada") {
			t.Errorf("the function URL of %s answers %d %s", name, status, body)
		}
	}
	// What reads stdin and writes stdout may also be WebAssembly.
	s.run("deploy", filepath.Join("..", "..", "examples", "hello-go"), "--runtime", "wasm", "--name", "hello-wasi")
	if got := greeting(t, s.invoke("hello-wasi", `{"name":"Ada"}`).Body); got != "Hello, Ada!" {
		t.Errorf("hello-wasi says %q", got)
	}
}
