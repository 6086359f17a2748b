package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nimbus/internal/testenv"
)

// rewrite replaces the configuration file of a server that runs.
func rewrite(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// setting is what the server says of a key.
func (s *server) setting(key string) (value, pending string) {
	s.t.Helper()
	_, _, body := s.request(http.MethodGet, "/api/v1/settings", "")
	var all struct {
		Items []struct{ Name, Value, Pending string }
	}
	if err := json.Unmarshal(body, &all); err != nil {
		s.t.Fatalf("%v in %s", err, body)
	}
	for _, item := range all.Items {
		if item.Name == key {
			return item.Value, item.Pending
		}
	}
	s.t.Fatalf("no word about %s", key)
	return "", ""
}

func TestReloadChangesWhatItCan(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "nimbus.yaml")
	rewrite(t, path, "pool: {runtimes: [{runtime: python3, min_warm: 1, target_warm: 1}]}\n")
	s := startServer(t, t.TempDir(), "--config", path)
	testenv.Eventually(t, 10*time.Second, func() bool { return s.gauge("nimbus_vm_pool_warm") == 1 })

	rewrite(t, path, `
log: {level: debug, format: json}
scheduler: {default_timeout: 7s}
pool: {idle_timeout: 1s, runtimes: [{runtime: python3, min_warm: 1, target_warm: 3, memory_mb: 512, vcpus: 0.5}]}
retention: {versions: 3}
`)
	status, _, body := s.request(http.MethodPost, "/api/v1/settings/reload", "")
	if status != http.StatusOK || !strings.Contains(string(body), `"pool.runtimes"`) || !strings.Contains(string(body), `"pending_restart":[{"name":"log.format"`) {
		t.Fatalf("reload: %d %s", status, body)
	}
	testenv.Eventually(t, 10*time.Second, func() bool { return s.gauge("nimbus_vm_pool_warm") == 3 })
	if value, pending := s.setting("log.format"); value != "text" || pending != "json" {
		t.Errorf("log.format is %q, and waits for %q", value, pending)
	}
	if value, pending := s.setting("pool.idle_timeout"); value != "1s" || pending != "" {
		t.Errorf("pool.idle_timeout is %q, and waits for %q", value, pending)
	}
	status, _, body = s.request(http.MethodPost, "/api/v1/functions", `{"name":"f","code":"def handle(e):\n return 1\n"}`)
	var made struct {
		MemoryMB   int `json:"memory_mb"`
		CPUMilli   int `json:"cpu_milli"`
		TimeoutSec int `json:"timeout_sec"`
	}
	if err := json.Unmarshal(body, &made); err != nil || status != http.StatusCreated || made.MemoryMB != 512 || made.CPUMilli != 500 || made.TimeoutSec != 7 {
		t.Errorf("who says nothing gets %d %s", status, body)
	}
	s.invoke("f", "")
	testenv.Eventually(t, 10*time.Second, func() bool { return s.gauge("nimbus_vm_pool_warm") == 3 }) // the idle one is gone
}

func TestAWrongReloadChangesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "nimbus.yaml")
	rewrite(t, path, "pool: {idle_timeout: 3m}\n")
	s := startServer(t, t.TempDir(), "--config", path)
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"every problem":  {"pool: {idle_timeout: 4m, max_invocations: 0}\nlogs: {}\n", []string{"pool.max_invocations", "logs"}},
		"no such stock":  {"pool: {idle_timeout: 4m, runtimes: [{runtime: cobol}]}\n", []string{"pool.runtimes[0]", "cobol"}},
		"still too long": {"pool: {idle_timeout: 4m}\nscheduler: {default_timeout: 1h}\nlimits: {timeout_max: 2h}\n", []string{"what still runs", "default_timeout"}},
		"no YAML":        {"pool: [", []string{"nimbus.yaml:1"}},
	} {
		rewrite(t, path, c.content)
		status, _, body := s.request(http.MethodPost, "/api/v1/settings/reload", "")
		for _, want := range c.want {
			if status != http.StatusUnprocessableEntity || !strings.Contains(string(body), want) {
				t.Errorf("%s: %d %s does not tell of %s", name, status, body, want)
			}
		}
		if value, _ := s.setting("pool.idle_timeout"); value != "3m" {
			t.Errorf("%s: pool.idle_timeout is %s", name, value)
		}
	}
}

// SIGHUP after SIGHUP while calls run: every one is answered.
func TestHangupsDropNoCall(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "nimbus.yaml")
	stock := func(target int) string {
		return fmt.Sprintf("pool: {idle_timeout: %ds, runtimes: [{runtime: python3, min_warm: 0, target_warm: %d, max_total: %d}]}\n", 1+target, target, target+2)
	}
	rewrite(t, path, stock(1))
	s := startServer(t, t.TempDir(), "--config", path)
	s.deploy("f", "def handle(e):\n return 1\n")
	var over atomic.Bool
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for !over.Load() {
				resp, err := http.Post(s.url+"/api/v1/functions/f/invoke", "", strings.NewReader("{}"))
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Errorf("a call is answered %d", resp.StatusCode)
				}
			}
		})
	}
	for i := range 12 {
		target := i % 4
		rewrite(t, path, stock(target))
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, 10*time.Second, func() bool {
			value, _ := s.setting("pool.idle_timeout")
			return value == fmt.Sprintf("%ds", 1+target)
		})
	}
	over.Store(true)
	callers.Wait()
}
