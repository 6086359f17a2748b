package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nimbus/internal/config"
	"nimbus/internal/testenv"
)

const helloDir = "../../examples/hello-python"

// greeting is what examples/hello-python says.
func greeting(t *testing.T, body []byte) string {
	t.Helper()
	var g struct{ Message string }
	if err := json.Unmarshal(body, &g); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return g.Message
}

func TestFirstFunction(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	s.run("deploy", helloDir)

	first := s.invoke("hello-python", `{"name":"Ada"}`)
	if first.StatusCode != 200 || greeting(t, first.Body) != "Hello, Ada!" || !first.ColdStart || first.InitMS <= 0 {
		t.Errorf("the first call answers %+v", first)
	}
	second := s.invoke("hello-python", `{"name":"Grace"}`)
	if greeting(t, second.Body) != "Hello, Grace!" || second.ColdStart || second.MemoryMB <= 0 {
		t.Errorf("the second call answers %+v", second)
	}

	status, header, body := s.request(http.MethodGet, "/fn/default/hello-python?name=Ada", "")
	if status != 200 || greeting(t, body) != "Hello, Ada!" {
		t.Errorf("the function URL answers %d %s", status, body)
	}
	if header.Get("X-Request-Id") == "" || header.Get("X-Nimbus-Version") != "1" ||
		header.Get("X-Nimbus-Cold-Start") != "false" || header.Get("X-Nimbus-Duration-Ms") == "" {
		t.Errorf("its headers are %v", header)
	}
	status, _, body = s.request(http.MethodPut, "/fn/default/hello-python/any/path", `{"name":"Bob"}`)
	if status != 200 || greeting(t, body) != "Hello, Bob!" {
		t.Errorf("PUT to the function URL answers %d %s", status, body)
	}

	if code := s.stop(); code != 0 {
		t.Errorf("SIGTERM ended it with %d", code)
	}
}

func TestKilledServerLeavesNothingAndComesBack(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := startServer(t, data)
	s.run("deploy", helloDir)
	want := greeting(t, s.invoke("hello-python", `{"name":"Ada"}`).Body)
	s.deploy("sleeper", "import time, subprocess\ndef handle(e):\n subprocess.Popen(['sleep','300'])\n time.sleep(300)\n")
	go func() { // this call is cut off by the kill
		resp, err := http.Post(s.url+"/api/v1/functions/sleeper/invoke", "", nil)
		if err == nil {
			resp.Body.Close()
		}
	}()
	testenv.Eventually(t, 10*time.Second, func() bool {
		return strings.Contains(s.run("invocation", "list", "--function", "sleeper", "-o", "json"), "running")
	})
	below := descendants(t, s.cmd.Process.Pid)
	if len(below) == 0 {
		t.Fatal("a serving server has no processes below it")
	}

	s.kill()
	orphans := make(map[string]os.FileInfo)
	for _, dir := range cgroups(t, data) {
		orphans[dir], _ = os.Stat(dir)
	}
	if len(orphans) == 0 {
		t.Fatal("the kill left no cgroup behind, so the sweep below shows nothing")
	}
	s = startServer(t, data)
	for _, pid := range below {
		if alive(pid) {
			t.Errorf("process %d of the killed server is still there", pid)
		}
	}
	for dir, orphan := range orphans {
		if now, err := os.Stat(dir); err == nil && os.SameFile(orphan, now) {
			t.Errorf("the cgroup %s was not swept", dir)
		}
	}
	if got := greeting(t, s.invoke("hello-python", `{"name":"Ada"}`).Body); got != want {
		t.Errorf("after the kill it answers %q, want %q", got, want)
	}
	if code := s.stop(); code != 0 {
		t.Errorf("SIGTERM ended it with %d", code)
	}
	if left := cgroups(t, data); len(left) != 0 {
		t.Errorf("a clean stop left %v", left)
	}
}

func TestSecondServerIsRefused(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := startServer(t, data)
	out, err := s.try("serve", "--listen", "127.0.0.1:0", "--data-dir", data)
	if err == nil {
		t.Fatal("a second server started")
	}
	for _, want := range []string{data, fmt.Sprint(s.cmd.Process.Pid), strings.TrimPrefix(s.url, "http://")} {
		if !strings.Contains(out, want) {
			t.Errorf("%q does not name %s", out, want)
		}
	}
}

func TestStopLetsRunningCallsEnd(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	s.deploy("slow", "import time\ndef handle(e):\n print('begun', flush=True)\n time.sleep(1)\n return 'done'\n")
	type outcome struct {
		a   answer
		err error
	}
	result := make(chan outcome, 1)
	go func() {
		resp, err := http.Post(s.url+"/api/v1/functions/slow/invoke", "", nil)
		if err != nil {
			result <- outcome{err: err}
			return
		}
		defer resp.Body.Close()
		var o outcome
		o.err = json.NewDecoder(resp.Body).Decode(&o.a)
		result <- o
	}()
	testenv.Eventually(t, 10*time.Second, func() bool {
		return strings.Contains(s.run("logs", "slow"), "begun")
	})
	if code := s.stop(); code != 0 {
		t.Errorf("SIGTERM ended it with %d", code)
	}
	if o := <-result; o.err != nil || o.a.StatusCode != 200 {
		t.Errorf("the call that was running got %+v, %v", o.a, o.err)
	}
}

func TestStopBeforeItIsUp(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	sources := config.Sources{Flags: map[string]any{"data_dir": t.TempDir(), "server.listen": "127.0.0.1:0"}}
	if err := runServe(ctx, &cli{out: io.Discard, err: io.Discard}, sources); err != nil {
		t.Errorf("a server that is stopped while it starts ends with %v", err)
	}
}

func TestManyCallsAtOnce(t *testing.T) {
	t.Parallel()
	const clients, calls = 64, 10_000
	s := startServer(t, t.TempDir())
	s.run("deploy", helloDir)
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	next := make(chan int)
	go func() {
		defer close(next)
		for i := range calls {
			next <- i
		}
	}()
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for i := range next {
				if err := greet(client, s.url, i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func greet(client *http.Client, url string, i int) error {
	event := fmt.Sprintf(`{"name":"caller %d"}`, i)
	resp, err := client.Post(url+"/api/v1/functions/hello-python/invoke", "", strings.NewReader(event))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var a struct {
		StatusCode int `json:"status_code"`
		Body       struct{ Message string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return fmt.Errorf("call %d: HTTP %d: %w", i, resp.StatusCode, err)
	}
	if want := fmt.Sprintf("Hello, caller %d!", i); a.StatusCode != 200 || a.Body.Message != want {
		return fmt.Errorf("call %d: HTTP %d, %+v", i, resp.StatusCode, a)
	}
	return nil
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := testenv.TinyDisk(t, 64<<20)
	s := startServer(t, disk)
	s.run("deploy", helloDir)
	s.invoke("hello-python", `{}`)

	ballast := filepath.Join(disk, "ballast")
	fill(t, ballast)
	create := func() (int, []byte) {
		status, _, body := s.request(http.MethodPost, "/api/v1/functions",
			fmt.Sprintf(`{"name":"late","runtime":"python3","code":%q}`, "def handle(e):\n return '"+strings.Repeat("x", 100_000)+"'\n"))
		return status, body
	}
	if status, body := create(); status != http.StatusInsufficientStorage {
		t.Errorf("creating on a full disk answers %d %s", status, body)
	}
	for i := range 200 { // more than any buffer of records forgives silently
		if a := s.invoke("hello-python", `{"name":"Ada"}`); a.StatusCode != 200 {
			t.Fatalf("warm call %d on a full disk answers %+v", i, a)
		}
	}
	if status, _, body := s.request(http.MethodGet, "/api/v1/functions", ""); status != 200 {
		t.Errorf("reading on a full disk answers %d %s", status, body)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 10*time.Second, func() bool { status, _ := create(); return status == http.StatusCreated })
	if a := s.invoke("late", ""); a.StatusCode != 200 {
		t.Errorf("the function made after healing answers %+v", a)
	}
}

func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size >= 1; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2 // the last bytes too
		}
	}
}

func TestListeningBeyondLoopbackNeedsKeys(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir()) // only for its verbs
	out, err := s.try("serve", "--listen", "0.0.0.0:0", "--data-dir", t.TempDir())
	if err == nil || !strings.Contains(out, "auth.enabled") || !strings.Contains(out, "--insecure") {
		t.Errorf("listening on every address: %v, %q", err, out)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	config := filepath.Join(t.TempDir(), "nimbus.yaml")
	if err := os.WriteFile(config, []byte("auth:\n  enabled: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, data, "--config", config)
	admin := keyIn(s.stdout.String())
	if admin == "" {
		t.Fatalf("the first start prints no key:\n%s", s.stdout)
	}
	if status, header, _ := s.request(http.MethodGet, "/api/v1/functions", ""); status != 401 || header.Get("WWW-Authenticate") == "" {
		t.Errorf("without a key: %d, %v", status, header)
	}
	if status, _, _ := s.request(http.MethodGet, "/health/ready", ""); status != 200 {
		t.Errorf("health asks for a key: %d", status)
	}
	s.run("deploy", helloDir, "--api-key", admin)
	out := s.run("apikey", "create", "--name", "caller", "--scope", "invoke", "--api-key", admin, "-o", "json")
	caller := keyIn(out)
	if caller == "" {
		t.Fatalf("no key in %s", out)
	}
	if out, err := s.try("invoke", "hello-python", "--api-key", caller); err != nil {
		t.Errorf("a caller can't call: %v %s", err, out)
	}
	if out, err := s.try("function", "delete", "hello-python", "--yes", "--api-key", caller); err == nil {
		t.Errorf("a caller can delete: %s", out)
	}
	if code := s.stop(); code != 0 {
		t.Errorf("SIGTERM ended it with %d", code)
	}
	s = startServer(t, data, "--config", config)
	if key := keyIn(s.stdout.String()); key != "" {
		t.Error("the second start prints a key again")
	}
	s.run("invoke", "hello-python", "--api-key", caller)
}

// keyIn finds the first API key in a text.
func keyIn(text string) string {
	_, rest, found := strings.Cut(text, "nbs_")
	if !found {
		return ""
	}
	end := strings.IndexFunc(rest, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	if end < 0 {
		end = len(rest)
	}
	return "nbs_" + rest[:end]
}

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	s.run("deploy", helloDir)
	s.invoke("hello-python", `{"name":"Ada"}`)
	file := filepath.Join(t.TempDir(), "nimbus.backup")
	s.run("backup", file)

	// Into another, running installation that has something else.
	other := startServer(t, t.TempDir())
	other.deploy("mine", "def handle(e):\n return 1\n")
	if out, err := other.try("restore", helloDir+"/handler.py", "--yes"); err == nil {
		t.Errorf("a Python file was restored: %s", out)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	torn := filepath.Join(t.TempDir(), "torn")
	if err := os.WriteFile(torn, whole[:len(whole)*2/3], 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := other.try("restore", torn, "--yes"); err == nil {
		t.Errorf("a torn backup was restored: %s", out)
	}
	other.invoke("mine", "")
	other.run("restore", file, "--yes")
	if got := greeting(t, other.invoke("hello-python", `{"name":"Eve"}`).Body); got != "Hello, Eve!" {
		t.Errorf("the restored function says %q", got)
	}
	if status, _, _ := other.request(http.MethodPost, "/api/v1/functions/mine/invoke", ""); status != 404 {
		t.Errorf("what the restore replaced answers %d", status)
	}
	if list := other.run("invocation", "list", "--function", "hello-python", "-o", "json"); strings.Count(list, `"success"`) < 2 {
		t.Errorf("the records are %s", list)
	}
	if code := other.stop(); code != 0 {
		t.Errorf("SIGTERM ended it with %d", code)
	}
}

func TestDrainRefusesNothingItAccepted(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	s.run("deploy", helloDir)
	s.invoke("hello-python", `{}`)
	var wg sync.WaitGroup
	begun := make(chan struct{}, 64)
	for c := range 16 {
		wg.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			for i := 0; ; i++ {
				resp, err := client.Post(s.url+"/api/v1/functions/hello-python/invoke", "", strings.NewReader(`{}`))
				if err != nil {
					if i == 0 {
						t.Errorf("client %d: %v", c, err)
					}
					return // the listener is closed, or the idle connection was: nothing had been accepted
				}
				resp.Body.Close()
				if resp.StatusCode != 200 && resp.StatusCode != 503 {
					t.Errorf("client %d, call %d: HTTP %d", c, i, resp.StatusCode)
				}
				if resp.StatusCode == 503 {
					return
				}
				select {
				case begun <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 32 {
		<-begun
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if code := s.waitExit(); code != 0 {
		t.Errorf("SIGTERM ended it with %d", code)
	}
}
