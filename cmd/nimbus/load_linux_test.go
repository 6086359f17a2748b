package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nimbus/internal/testenv"
)

const (
	mixClients  = 64
	mixTarget   = 2   // blanks of each runtime
	mixTotal    = 12  // instances of each runtime: fewer than clients, so that calls are held
	mixMemoryMB = 160 // of a function, and of what has no code yet
	mixSlack    = 12  // goroutines and files: what two looks at a resting server differ by
)

// mixture is a function of each runtime, each such as is quickest to make.
var mixture = []struct {
	name   string
	source func(t *testing.T) string
	answer string // to {"name":"7"}, with %s for it
}{
	{"python", func(t *testing.T) string { return directory(t, "handler.py", "def handle(e):\n return e\n") }, `{"name":%q}`},
	{"node", func(t *testing.T) string { return directory(t, "handler.js", "exports.handle = async (e) => e;\n") }, `{"name":%q}`},
	{"go", func(t *testing.T) string { return testenv.BuildGo(t, "nimbus/examples/hello-go") }, `{"message":"Hello, %s!"}`},
	{"custom", func(*testing.T) string { return filepath.Join("..", "..", "examples", "hello-custom") }, `{"you_sent":{"name":%q}}`},
	{"reactor", func(t *testing.T) string { return wasmFixture(t, "reactor.wasm") }, `{"name":%q}`},
	{"command", func(t *testing.T) string { return wasmFixture(t, "command.wasm") }, `{"name":%q}`},
}

// wasmFixture makes a directory with one of the modules that internal/wasm is tested with.
func wasmFixture(t *testing.T, name string) string {
	t.Helper()
	module, err := os.ReadFile(filepath.Join("..", "..", "internal", "wasm", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return directory(t, "handler.wasm", string(module))
}

// TestMixedLoad is the soak test of the runtimes, in short.
func TestMixedLoad(t *testing.T) {
	t.Parallel()
	mixedLoad(t, 5*time.Second, rand.Uint64())
}

// mixedLoad has many clients call functions of every runtime for a while: each call is answered, and rightly; no
// instance has more than it may; afterwards the server is as small as before.
func mixedLoad(t *testing.T, how time.Duration, seed uint64) {
	testenv.RequireNode(t)
	testenv.RequireCurl(t)
	testenv.RequireGo(t)
	data := t.TempDir()
	s := startServer(t, data, "--log-level", "warn", "--config", configFile(t, mixConfig()))
	for _, f := range mixture {
		s.run("deploy", f.source(t), "--name", f.name, "--memory-mb", strconv.Itoa(mixMemoryMB))
	}
	s.burst(500*time.Millisecond, seed) // some things are made once and kept
	before := s.rested(data)
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				s.checkBounds(data)
			}
		}
	})
	calls := s.burst(how, seed+1)
	close(stop)
	watch.Wait()
	after := s.rested(data)
	t.Logf("%d calls; before %+v; after %+v", calls, before, after)
	for what, counted := range map[string][3]int{
		"goroutines":               {before.goroutines, after.goroutines, mixSlack},
		"open files":               {before.files, after.files, mixSlack},
		"open files of processes":  {before.processFiles, after.processFiles, mixSlack},
		"processes":                {before.processes, after.processes, 0},
		"mounts":                   {before.mounts, after.mounts, 0},
		"groups":                   {before.groups, after.groups, 0},
		"files of the data folder": {before.kept, after.kept, 0},
	} {
		if counted[1] > counted[0]+counted[2] {
			t.Errorf("%s: there were %d, now there are %d", what, counted[0], counted[1])
		}
	}
	if code := s.stop(); code != 0 {
		t.Errorf("SIGTERM ended it with %d", code)
	}
	if left := append(cgroups(t, data), mounts(t, data)...); len(left) > 0 {
		t.Errorf("a clean stop left %v", left)
	}
}

func mixConfig() string {
	config := "scheduler: {queue_size: 1000}\npool:\n  idle_timeout: 1s\n  runtimes:\n"
	for _, runtime := range []string{"python3", "nodejs", "go", "custom", "wasm"} {
		config += fmt.Sprintf("  - {runtime: %s, min_warm: 1, target_warm: %d, max_total: %d, memory_mb: %d}\n", runtime, mixTarget, mixTotal, mixMemoryMB)
	}
	return config
}

// burst has the clients call the mixture for a while and returns how many calls there were.
func (s *server) burst(how time.Duration, seed uint64) int64 {
	s.t.Helper()
	var calls atomic.Int64
	var wg sync.WaitGroup
	until := time.Now().Add(how)
	for id := range mixClients {
		c := newCaller(s.t, s.url)
		wg.Go(func() {
			dice := rand.New(rand.NewPCG(seed, uint64(id)))
			for time.Now().Before(until) {
				f := mixture[dice.IntN(len(mixture))]
				name := strconv.FormatUint(dice.Uint64(), 36)
				a, r, err := c.invoke(f.name, fmt.Sprintf(`{"name":%q}`, name))
				if want := fmt.Sprintf(f.answer, name); err != nil || a.StatusCode != http.StatusOK || string(a.Body) != want {
					s.t.Errorf("%s: %v %s; want %s (seed %d)", f.name, err, r, want, seed)
				}
				calls.Add(1)
			}
			c.http.CloseIdleConnections()
		})
	}
	wg.Wait()
	return calls.Load()
}

// pools is the answer of GET /api/v1/pools.
type pools struct {
	Pools []struct {
		Runtime  string
		Size     int
		MaxTotal int `json:"max_total"`
	}
	Instances []struct {
		ID, State string
		Function  string  `json:"function_name"`
		PeakMB    float64 `json:"memory_peak_mb"`
	}
}

func (s *server) pools() (p pools) {
	s.t.Helper()
	_, _, body := s.request(http.MethodGet, "/api/v1/pools?limit=100", "")
	if err := json.Unmarshal(body, &p); err != nil {
		s.t.Errorf("%v in %s", err, body)
	}
	return p
}

// checkBounds sees that no runtime has more instances than it may, no instance more memory, and that the kernel
// holds every group that has processes to a bound.
func (s *server) checkBounds(dataDir string) {
	s.t.Helper()
	now := s.pools()
	for _, p := range now.Pools {
		if p.Size > p.MaxTotal || p.MaxTotal != mixTotal {
			s.t.Errorf("%s has %d instances of %d, %d were configured", p.Runtime, p.Size, p.MaxTotal, mixTotal)
		}
	}
	for _, i := range now.Instances {
		if i.PeakMB > mixMemoryMB {
			s.t.Errorf("an instance of %s had %.1f MB", i.Function, i.PeakMB)
		}
	}
	for _, dir := range cgroups(s.t, dataDir) {
		if processes, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs")); len(processes) == 0 {
			continue
		}
		for bound, most := range map[string]int64{"memory.limit_in_bytes": mixMemoryMB << 20, "memory.max": mixMemoryMB << 20, "pids.max": 10_000} {
			text, err := os.ReadFile(filepath.Join(dir, bound))
			if err != nil {
				continue // it is another controller's, or gone
			}
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err != nil || n > most {
				s.t.Errorf("%s of %s is %s", bound, dir, text)
			}
		}
	}
}

// rest is what a server without work takes.
type rest struct {
	footprint
	kept int // files of the data directory, without records and logs
}

// rested waits until every instance has gone but the blanks, and measures.
func (s *server) rested(dataDir string) rest {
	s.t.Helper()
	http.DefaultClient.CloseIdleConnections()
	testenv.Eventually(s.t, 30*time.Second, func() bool {
		now := s.pools()
		for _, i := range now.Instances {
			if i.State != "blank" {
				return false
			}
		}
		return len(now.Instances) == mixTarget*len(now.Pools)
	})
	r := rest{footprint: measure(s.t, s, dataDir)}
	err := filepath.WalkDir(dataDir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (path == filepath.Join(dataDir, "logs") || path == filepath.Join(dataDir, "store")) {
			return filepath.SkipDir
		}
		r.kept++
		return err
	})
	if err != nil {
		s.t.Error(err)
	}
	return r
}
