package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// startConfigured starts a server with a configuration file of that content.
func startConfigured(t *testing.T, content string, args ...string) *server {
	t.Helper()
	return startServer(t, t.TempDir(), append([]string{"--config", configFile(t, content)}, args...)...)
}

func configFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nimbus.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// smallLimits differ from the defaults, each so that a default in its place would show.
const smallLimits = `
scheduler: {default_timeout: 3s}
limits:
  inline_code_kb: 2
  archive_mb: 1
  unpacked_mb: 2
  archive_files: 5
  memory_min_mb: 130
  memory_default_mb: 135
  memory_max_mb: 140
  timeout_min: 2s
  timeout_max: 4s
  event_kb: 4
  response_kb: 2
  stream_mb: 1
  env_kb: 1
  tmp_default_mb: 10
  tmp_max_mb: 20
  cpu_max_milli: 500
  pids: 20
  init_timeout: 1s
  log_line_kb: 1
  log_call_kb: 2
  captured_kb: 1
`

func TestLimitsAreObeyed(t *testing.T) {
	t.Parallel()
	s := startConfigured(t, smallLimits)
	t.Run("settings", func(t *testing.T) { testSettingLimits(s.as(t)) })
	t.Run("code", func(t *testing.T) { testCodeLimits(s.as(t)) })
	t.Run("calls", func(t *testing.T) { testCallLimits(s.as(t)) })
	t.Run("logs and records", func(t *testing.T) { testKeptLimits(s.as(t)) })
}

func testSettingLimits(s *server) {
	create := func(name, setting string) (int, []byte) {
		status, _, body := s.request(http.MethodPost, "/api/v1/functions",
			fmt.Sprintf(`{"name":%q,"code":"def handle(e):\n return 1\n",%s}`, name, setting))
		return status, body
	}
	for _, c := range []struct{ field, below, above string }{
		{"memory_mb", "129", "141"}, {"timeout_sec", "1", "5"}, {"tmp_mb", "", "21"}, {"cpu_milli", "", "501"},
		{"env_vars", "", fmt.Sprintf(`{"A":%q}`, strings.Repeat("x", 1024))},
	} {
		for _, value := range []string{c.below, c.above} {
			if value == "" {
				continue
			}
			status, body := create("refused", fmt.Sprintf("%q:%s", c.field, value))
			if status != http.StatusUnprocessableEntity || !bytes.Contains(body, []byte(c.field)) {
				s.t.Errorf("%s %.20s: %d %s", c.field, value, status, body)
			}
		}
	}
	status, body := create("defaults", `"description":""`)
	var got struct {
		MemoryMB   int `json:"memory_mb"`
		TimeoutSec int `json:"timeout_sec"`
		TmpMB      int `json:"tmp_mb"`
	}
	if err := json.Unmarshal(body, &got); err != nil || status != http.StatusCreated {
		s.t.Fatalf("create: %d %s", status, body)
	}
	if got.MemoryMB != 135 || got.TimeoutSec != 3 || got.TmpMB != 10 {
		s.t.Errorf("who says nothing gets %+v", got)
	}
}

func testCodeLimits(s *server) {
	long := "def handle(e):\n return 1\n" + strings.Repeat("#", 2048)
	status, _, body := s.request(http.MethodPost, "/api/v1/functions", fmt.Sprintf(`{"name":"long","code":%q}`, long))
	if status != http.StatusRequestEntityTooLarge {
		s.t.Errorf("long code: %d %s", status, body)
	}
	random := make([]byte, 1100<<10)
	state := uint32(1)
	for i := range random { // nothing that deflate could shorten
		state = state*1664525 + 1013904223
		random[i] = byte(state >> 24)
	}
	many := map[string][]byte{}
	for i := range 6 {
		many[fmt.Sprintf("file%d", i)] = []byte("x")
	}
	for name, files := range map[string]map[string][]byte{
		"large": {"data": random}, "unpacked": {"data": make([]byte, 2100<<10)}, "many": many,
	} {
		if status, body := s.upload(name, files); status != http.StatusRequestEntityTooLarge && status != http.StatusUnprocessableEntity {
			s.t.Errorf("a zip that is %s: %d %s", name, status, body)
		}
	}
	if status, body := s.upload("fits", map[string][]byte{"data": make([]byte, 1900<<10)}); status != http.StatusCreated {
		s.t.Errorf("a zip that fits: %d %s", status, body)
	}
}

// upload creates a function of a zip that holds a handler and the files.
func (s *server) upload(name string, files map[string][]byte) (int, []byte) {
	s.t.Helper()
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	part, err := parts.CreateFormFile("code", "code.zip")
	if err != nil {
		s.t.Fatal(err)
	}
	archive := zip.NewWriter(part)
	files["handler.py"] = []byte("def handle(e):\n return 1\n")
	for path, content := range files {
		w, err := archive.Create(path)
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		s.t.Fatal(err)
	}
	if err := parts.WriteField("name", name); err != nil {
		s.t.Fatal(err)
	}
	if err := parts.Close(); err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.Post(s.url+"/api/v1/functions", parts.FormDataContentType(), &form)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, body
}

func testCallLimits(s *server) {
	s.deploy("echo", "def handle(e):\n return len(e)\n")
	if status, _, _ := s.request(http.MethodPost, "/api/v1/functions/echo/invoke", `"`+strings.Repeat("x", 4095)+`"`); status != http.StatusRequestEntityTooLarge {
		s.t.Errorf("a long event: %d", status)
	}
	if status, _, _ := s.request(http.MethodPost, "/fn/default/echo", strings.Repeat("x", 4097)); status != http.StatusRequestEntityTooLarge {
		s.t.Errorf("a long body to the function URL: %d", status)
	}
	s.deploy("talks", "def handle(e):\n return 'x' * 2048\n")
	if a := s.invoke("talks", ""); a.ErrorType != "Function.ResponseSizeTooLarge" {
		s.t.Errorf("a long result: %+v", a)
	}
	s.deploy("slow-import", "import time\ntime.sleep(30)\ndef handle(e):\n return 1\n")
	if a := s.invoke("slow-import", ""); a.ErrorType != "Runtime.InitTimeout" {
		s.t.Errorf("a slow import: %+v", a)
	}
	s.deploy("threads", "import threading\ndef handle(e):\n wait = threading.Event()\n try:\n"+
		"  for n in range(40): threading.Thread(target=wait.wait, daemon=True).start()\n"+
		" except RuntimeError: return n\n finally: wait.set()\n return 40\n")
	if a := s.invoke("threads", ""); a.StatusCode != 200 || string(a.Body) == "40" {
		s.t.Errorf("many threads: %+v %s", a, a.Body)
	}
	s.deploy("streams", "def handle(e):\n for n in range(20): yield 'x' * (100 << 10)\n")
	if got := s.stream("streams"); got > 1<<20+200<<10 || got < 512<<10 {
		s.t.Errorf("of a long stream %d bytes came", got)
	}
}

// stream calls a function and counts the bytes that come before the stream breaks off.
func (s *server) stream(name string) int64 {
	s.t.Helper()
	resp, err := http.Get(s.url + "/fn/default/" + name)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil {
		s.t.Errorf("the stream of %s ends as if it were whole", name)
	}
	return n
}

func testKeptLimits(s *server) {
	s.deploy("prints", "def handle(e):\n print('y' * 3000)\n for n in range(100): print('z' * 60)\n return 1\n")
	s.deploy("kept", "def handle(e):\n return 1\n", "--capture", "all")
	id := s.invoke("prints", "").RequestID
	var lines struct {
		Items []struct {
			Stream    string
			Text      string
			Truncated bool
		}
	}
	_, _, body := s.request(http.MethodGet, "/api/v1/functions/prints/logs?limit=100&invocation="+id, "")
	if err := json.Unmarshal(body, &lines); err != nil {
		s.t.Fatalf("%v in %s", err, body)
	}
	total, said := 0, false
	for i, line := range lines.Items {
		if i == 0 && (len(line.Text) != 1024 || !line.Truncated) {
			s.t.Errorf("of a long line %d bytes are kept, truncated %t", len(line.Text), line.Truncated)
		}
		total += len(line.Text)
		said = said || line.Stream == "platform" && strings.Contains(line.Text, "truncated")
	}
	if total > 2048+100 || !said {
		s.t.Errorf("of a long log %d bytes are kept; that it was cut is told: %t", total, said)
	}
	id = s.invoke("kept", `"`+strings.Repeat("x", 3000)+`"`).RequestID
	var record struct{ Input json.RawMessage }
	_, _, body = s.request(http.MethodGet, "/api/v1/invocations/"+id, "")
	if err := json.Unmarshal(body, &record); err != nil || len(record.Input) > 1024 || len(record.Input) < 512 {
		s.t.Errorf("of a long input %d bytes are kept (%v)", len(record.Input), err)
	}
}
