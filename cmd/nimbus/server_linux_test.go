package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"nimbus/internal/testenv"
)

// server is a `nimbus serve` of its own process, as users run it.
type server struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string
	stdout *strings.Builder // what it said before it was ready, the ready line included
	stderr *bytes.Buffer
	ready  chan string // its URL, once it is ready
	ended  chan struct{}
}

// startServer starts a server and waits until it says that it is ready. The test ends it.
func startServer(t *testing.T, dataDir string, args ...string) *server {
	t.Helper()
	s := launchServer(t, dataDir, args...)
	s.awaitReady()
	return s
}

// launchServer starts a server, which the test ends.
func launchServer(t *testing.T, dataDir string, args ...string) *server {
	t.Helper()
	testenv.RequireSandbox(t)
	testenv.RequirePython(t)
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--data-dir", dataDir}, args...)
	s := &server{t: t, cmd: exec.Command("nimbus", args...), stdout: new(strings.Builder),
		stderr: new(bytes.Buffer), ready: make(chan string, 1), ended: make(chan struct{})}
	s.cmd.Stderr = s.stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.end()
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.stderr)
		}
	})
	go s.follow(out)
	return s
}

// follow reads what the server prints until it ends.
func (s *server) follow(out io.Reader) {
	defer close(s.ended)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		fmt.Fprintln(s.stdout, lines.Text())
		if _, url, found := strings.Cut(lines.Text(), "nimbus is ready on "); found {
			s.ready <- url
			break
		}
	}
	_, _ = io.Copy(io.Discard, out)
}

// awaitReady waits until the server says that it is ready.
func (s *server) awaitReady() {
	s.t.Helper()
	select {
	case s.url = <-s.ready:
	case <-s.ended:
		_ = s.cmd.Wait()
		s.t.Fatalf("the server ended before it was ready:\n%s", s.stderr)
	case <-time.After(30 * time.Second):
		s.t.Fatal("the server was not ready within 30 s")
	}
}

// as is the same server for a subtest.
func (s *server) as(t *testing.T) *server {
	other := *s
	other.t = t
	return &other
}

// kill ends it as a power cut would.
func (s *server) kill() {
	_ = s.cmd.Process.Kill() // it may have ended already
	<-s.ended
	_ = s.cmd.Wait() // killed
}

// end stops it if it still runs, and kills it if it doesn't.
func (s *server) end() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-s.ended:
	case <-time.After(20 * time.Second):
		s.t.Error("the server did not stop within 20 s")
	}
	s.kill()
}

// stop asks it to end and returns its exit status.
func (s *server) stop() int {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	return s.waitExit()
}

// waitExit waits until it has ended and returns its exit status.
func (s *server) waitExit() int {
	<-s.ended
	_ = s.cmd.Wait() // the status says it
	return s.cmd.ProcessState.ExitCode()
}

// run runs a verb against the server and returns what it printed; it must exit with 0.
func (s *server) run(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("nimbus %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// try runs a verb against the server.
func (s *server) try(args ...string) (string, error) {
	cmd := exec.Command("nimbus", args...)
	cmd.Env = append(os.Environ(), "NIMBUS_SERVER="+s.url)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// deploy deploys one Python file as the function name.
func (s *server) deploy(name, code string, flags ...string) {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "handler.py"), []byte(code), 0o644); err != nil {
		s.t.Fatal(err)
	}
	s.run(append([]string{"deploy", dir}, flags...)...)
}

// answer is the JSON of a call.
type answer struct {
	RequestID  string          `json:"request_id"`
	StatusCode int             `json:"status_code"`
	Body       json.RawMessage `json:"body"`
	Error      string          `json:"error"`
	ErrorType  string          `json:"error_type"`
	DurationMS float64         `json:"duration_ms"`
	ColdStart  bool            `json:"cold_start"`
	InitMS     float64         `json:"init_ms"`
	MemoryMB   float64         `json:"memory_used_mb"`
	Version    int64           `json:"version"`
}

// invoke calls a function and returns its outcome; the platform must not fail.
func (s *server) invoke(name, event string) answer {
	s.t.Helper()
	status, _, body := s.request(http.MethodPost, "/api/v1/functions/"+name+"/invoke", event)
	if status != http.StatusOK {
		s.t.Fatalf("invoke %s: HTTP %d %s", name, status, body)
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		s.t.Fatalf("invoke %s: %v in %s", name, err, body)
	}
	return a
}

// request sends one request and returns the whole response.
func (s *server) request(method, path, body string) (int, http.Header, []byte) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, got
}

// descendants counts the processes below pid.
func descendants(t *testing.T, pid int) []int {
	t.Helper()
	children, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for _, file := range children {
		text, _ := os.ReadFile(file) // a thread that has ended has no children
		for _, field := range strings.Fields(string(text)) {
			var child int
			if _, err := fmt.Sscan(field, &child); err != nil {
				t.Fatal(err)
			}
			all = append(append(all, child), descendants(t, child)...)
		}
	}
	return all
}

// cgroups lists the groups of the installation in a data directory.
func cgroups(t *testing.T, dataDir string) []string {
	t.Helper()
	owner, err := (&dataDirectory{path: dataDir}).owner()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup/nimbus/", "/sys/fs/cgroup/*/nimbus/"} {
		entries, err := filepath.Glob(pattern + owner + "/instances/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if info, err := os.Stat(entry); err == nil && info.IsDir() {
				found = append(found, entry)
			}
		}
	}
	return found
}

// alive reports whether a process runs. One that has ended and whose parent does not ask for it does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}
