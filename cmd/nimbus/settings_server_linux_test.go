package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/store/sqlite"
	"nimbus/internal/testenv"
)

// gauge reads a number of /metrics, of all runtimes together; -1 when it is not there.
func (s *server) gauge(series string) int {
	s.t.Helper()
	_, _, body := s.request(http.MethodGet, "/metrics", "")
	found := regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(series)+`(?:\{[^}]*\})? (\d+)$`).FindAllSubmatch(body, -1)
	if found == nil {
		return -1
	}
	sum := 0
	for _, one := range found {
		n, err := strconv.Atoi(string(one[1]))
		if err != nil {
			s.t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// whoServed is a handler that says in which instance it ran.
const whoServed = "import time, uuid\nme = uuid.uuid4().hex\ndef handle(e):\n time.sleep((e or {}).get('sleep', 0))\n return me\n"

func TestStockAndQueueAreObeyed(t *testing.T) {
	t.Parallel()
	s := startConfigured(t, "scheduler: {queue_size: 4}\npool:\n  runtimes: [{runtime: python3, min_warm: 2, target_warm: 3, max_total: 3}]\n")
	testenv.Eventually(t, 10*time.Second, func() bool { return s.gauge("nimbus_vm_pool_warm") == 3 })
	s.deploy("who", whoServed)
	var mu sync.Mutex
	instances, statuses := map[string]int{}, map[int]int{}
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			resp, err := http.Post(s.url+"/api/v1/functions/who/invoke", "", strings.NewReader(`{"sleep":0.7}`))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			var a answer
			if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			statuses[resp.StatusCode]++
			if resp.StatusCode == http.StatusOK {
				instances[string(a.Body)]++
			}
			if resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") == "" {
				t.Error("a refusal does not say when to try again")
			}
		})
	}
	wg.Wait()
	if len(instances) > 3 || statuses[http.StatusTooManyRequests] == 0 || statuses[http.StatusOK] < 2 ||
		statuses[http.StatusOK]+statuses[http.StatusTooManyRequests] != 12 {
		t.Errorf("12 calls at once get %v, of %d instances", statuses, len(instances))
	}
}

func TestMaxInvocationsIsObeyed(t *testing.T) {
	t.Parallel()
	s := startConfigured(t, "pool: {max_invocations: 3}")
	s.deploy("who", whoServed)
	var served []string
	for range 7 {
		served = append(served, string(s.invoke("who", "").Body))
	}
	for i, instance := range served {
		if first := i - i%3; instance != served[first] || first > 0 && instance == served[first-1] {
			t.Fatalf("instances are not replaced after 3 calls: %q", served)
		}
	}
}

func TestIdleInstancesAreStopped(t *testing.T) {
	t.Parallel()
	s := startConfigured(t, "pool: {idle_timeout: 1s, runtimes: [{runtime: python3, min_warm: 0, target_warm: 0}]}")
	s.deploy("who", whoServed)
	s.deploy("keeps", whoServed, "--idle-timeout", "1h")
	s.invoke("who", "")
	kept := s.invoke("keeps", "").Body
	testenv.Eventually(t, 15*time.Second, func() bool { return s.gauge("nimbus_vm_pool_size") == 1 })
	if a := s.invoke("keeps", ""); !bytes.Equal(a.Body, kept) {
		t.Error("a function's own idle_timeout is not obeyed")
	}
}

func TestFreezeAfterIsObeyed(t *testing.T) {
	t.Parallel()
	s := startConfigured(t, "pool: {freeze_after: 1h}")
	s.deploy("ticks", "import threading, time\ndef tick():\n for n in range(10**6):\n  print('tick', n, flush=True)\n  time.sleep(.1)\n"+
		"threading.Thread(target=tick, daemon=True).start()\ndef handle(e):\n return 1\n")
	s.invoke("ticks", "")
	// An instance that is frozen after a second never comes so far.
	testenv.Eventually(t, 15*time.Second, func() bool { return strings.Contains(s.run("logs", "ticks"), "tick 22") })
}

func TestShutdownTimeoutIsObeyed(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := startServer(t, data, "--config", configFile(t, "server: {shutdown_timeout: 1s}"))
	s.deploy("slow", "import time\ndef handle(e):\n print('begun', flush=True)\n time.sleep(120)\n", "--timeout-sec", "200")
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		if resp, err := http.Post(s.url+"/api/v1/functions/slow/invoke", "", nil); err == nil {
			resp.Body.Close()
		}
	}()
	testenv.Eventually(t, 10*time.Second, func() bool { return strings.Contains(s.run("logs", "slow"), "begun") })
	asked := time.Now()
	if code := s.stop(); code != 0 {
		t.Errorf("SIGTERM ended it with %d", code)
	}
	if took := time.Since(asked); took < time.Second || took > 10*time.Second {
		t.Errorf("with a shutdown_timeout of 1s it took %s to stop", took)
	}
	<-cut
	s = startServer(t, data)
	list := s.run("invocation", "list", "--function", "slow", "-o", "json")
	if !strings.Contains(list, `"failed"`) {
		t.Errorf("the call that was cut off is recorded as %s", list)
	}
}

func TestLogSettingsAreObeyed(t *testing.T) {
	t.Parallel()
	s := startConfigured(t, "log: {format: json, level: debug}")
	s.request(http.MethodGet, "/api/v1/functions", "")
	s.stop()
	levels := map[string]bool{}
	for line := range bytes.Lines(s.stderr.Bytes()) {
		var record struct{ Level, Msg string }
		if err := json.Unmarshal(line, &record); err != nil || record.Msg == "" {
			t.Errorf("%q is no JSON record: %v", line, err)
		}
		levels[record.Level] = true
	}
	if !levels["DEBUG"] || !levels["INFO"] {
		t.Errorf("the levels in the log are %v", levels)
	}
	quiet := startServer(t, t.TempDir(), "--log-level", "error")
	quiet.stop()
	if quiet.stderr.Len() > 0 {
		t.Errorf("at level error it says %s", quiet.stderr)
	}
}

func TestInsecureAnswersEveryName(t *testing.T) {
	t.Parallel()
	ask := func(s *server) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/v1/functions", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "nimbus.example"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if status := ask(startServer(t, t.TempDir())); status != http.StatusForbidden {
		t.Errorf("a foreign name is answered with %d", status)
	}
	if status := ask(startConfigured(t, "server: {insecure: true}")); status != http.StatusOK {
		t.Errorf("with server.insecure a foreign name is answered with %d", status)
	}
}

func TestVersionsAreKeptAsConfigured(t *testing.T) {
	t.Parallel()
	s := startConfigured(t, "retention: {versions: 2}")
	for n := range 4 {
		s.deploy("changes", fmt.Sprintf("def handle(e):\n return %d\n", n))
	}
	for qualifier, want := range map[string]int{"2": 404, "3": 200, "4": 200} {
		if status, _, body := s.request(http.MethodPost, "/api/v1/functions/changes/invoke?qualifier="+qualifier, ""); status != want {
			t.Errorf("version %s: %d %s", qualifier, status, body)
		}
	}
}

func TestRetentionIsObeyed(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := startServer(t, data)
	s.deploy("prints", "def handle(e):\n print('here')\n return 1\n")
	young := s.invoke("prints", "").RequestID
	function := s.run("function", "get", "prints", "-o", "json")
	s.stop()

	var f struct{ ID string }
	if err := json.Unmarshal([]byte(function), &f); err != nil {
		t.Fatal(err)
	}
	id, err := nimbus.ParseID(f.ID)
	if err != nil {
		t.Fatal(err)
	}
	old := appendOldRecord(t, filepath.Join(data, "store"), id)
	tooOld, tooMuch := plantLog(t, data, 2*time.Hour, 1), plantLog(t, data, time.Minute, 20<<20)

	s = startServer(t, data, "--config", configFile(t, "retention: {records: 1h, logs: 1h, log_mb: 16}"))
	for what, path := range map[string]string{"old": tooOld, "large": tooMuch} {
		testenv.Eventually(t, 10*time.Second, func() bool {
			_, err := os.Stat(path)
			return os.IsNotExist(err)
		})
		t.Logf("the %s log is gone", what)
	}
	testenv.Eventually(t, 10*time.Second, func() bool {
		status, _, _ := s.request(http.MethodGet, "/api/v1/invocations/"+old, "")
		return status == http.StatusNotFound
	})
	if status, _, _ := s.request(http.MethodGet, "/api/v1/invocations/"+young, ""); status != http.StatusOK {
		t.Errorf("a young record: %d", status)
	}
	if out := s.run("logs", "prints"); !strings.Contains(out, "here") {
		t.Errorf("a young log: %q", out)
	}
}

// appendOldRecord stores a record of two hours ago.
func appendOldRecord(t *testing.T, dir string, function nimbus.ID) string {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	record := nimbus.Invocation{ID: nimbus.NewID(), Namespace: nimbus.DefaultNamespace, FunctionID: function, FunctionName: "prints",
		Version: 1, Attempt: 1, TriggerType: nimbus.TriggerHTTP, Status: nimbus.InvocationSuccess, CreatedAt: time.Now().Add(-2 * time.Hour)}
	if err := store.Records().Append(t.Context(), []nimbus.Invocation{record}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return record.ID.String()
}

// plantLog makes a segment of a function's log of that age and size.
func plantLog(t *testing.T, data string, age time.Duration, size int64) string {
	t.Helper()
	path := filepath.Join(data, "logs", nimbus.NewID().String(), "20260101T000000.000000Z-0000000000000000.log")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-age)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
	return path
}
