//go:build soak

package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nimbus/internal/runtime"
	"nimbus/internal/testenv"
)

const (
	churnClients = 8
	churnNames   = 50
	churnWarmUp  = 45 * time.Second // after which the baseline is taken
	churnTime    = 135 * time.Second
	churnSettle  = 60 * time.Second // until what is idle has gone

	churnSlack    = 12  // goroutines, files, processes: what a baseline varies by
	churnLogFiles = 128 // what the log store holds open at most
	churnSlackMB  = 96  // of memory, with the race detector
)

type churnKind struct {
	code   string
	status int
}

// timeout is short for what runs into it and long for what must not, however busy the machine.
func (k churnKind) timeout() int {
	if k.status == 504 {
		return 1
	}
	return 30
}

// churnKinds are handlers that go wrong in every way, and what their callers are told.
var churnKinds = []churnKind{
	{"def handle(e):\n return 'fine'\n", 200},
	{"def handle(e):\n raise ValueError('no')\n", 500},
	{"import os\ndef handle(e):\n os._exit(3)\n", 500},
	{"import time\ndef handle(e):\n time.sleep(60)\n", 504},
	{"def handle(e):\n b = bytearray(400 << 20)\n b[::4096] = b'x' * len(b[::4096])\n", 507},
	{"import subprocess\ndef handle(e):\n subprocess.Popen(['sleep', '1000'])\n subprocess.Popen(['sleep', '1000'], start_new_session=True)\n return 1\n", 200},
	{"import sys\ndef handle(e):\n for i in range(2000): print('line', i, 'x' * 100)\n return 1\n", 200},
	{"import threading, time\ndef handle(e):\n threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n return 1\n", 200},
}

const churnStream = "import time\ndef handle(e):\n for i in range(100):\n  yield 'x' * 1000\n  time.sleep(0.01)\n"

// However functions come, fail and go, the server ends up as small as it was.
func TestSoakChurn(t *testing.T) {
	adoptOrphans(t)
	dice := soakDice(t)
	data := t.TempDir()
	config := filepath.Join(t.TempDir(), "nimbus.yaml")
	if err := os.WriteFile(config, []byte("pool: {idle_timeout: 1s, freeze_after: 100ms, health_check_interval: 1s, max_vm_age: 1m}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, data, append(quiet(), "--config", config)...)
	cycles := churn(t, s, dice, 0, churnWarmUp)
	before := settled(t, s, data)
	cycles += churn(t, s, dice, churnClients, churnTime)
	after := settled(t, s, data)
	t.Logf("%d life cycles; before %+v; after %+v; unpacked trees %d, directories of logs %d", cycles, before, after,
		entries(t, data, "cache/packages/trees"), entries(t, data, "logs"))
	for name, pair := range map[string][3]int{
		"goroutines":         {before.goroutines, after.goroutines, churnSlack},
		"open files":         {before.files, after.files, churnSlack},
		"processes":          {before.processes, after.processes, churnSlack},
		"groups":             {before.groups, after.groups, churnSlack},
		"files of processes": {before.processFiles, after.processFiles, 8 * churnSlack},
		"mounts":             {before.mounts, after.mounts, 0},
		"MB":                 {before.residentMB, after.residentMB, churnSlackMB},
	} {
		if pair[1] > pair[0]+pair[2] {
			t.Errorf("%s grew from %d to %d", name, pair[0], pair[1])
		}
	}
	if code := s.stop(); code != 0 {
		t.Errorf("SIGTERM ended it with %d", code)
	}
	checkNothingLeft(t, data)
}

// settled waits until every instance but the blanks has gone, and measures.
func settled(t *testing.T, s *server, data string) footprint {
	t.Helper()
	http.DefaultClient.CloseIdleConnections()
	blanks := defaultStock(runtime.Runtime{Language: runtime.Python}).TargetWarm
	testenv.Eventually(t, churnSettle, func() bool {
		pause(t.Context(), time.Second)
		f := measure(t, s, data)
		return f.instances == blanks && f.processes < 4*blanks
	})
	return measure(t, s, data)
}

// churn has functions made, called, changed, called and deleted, for a while.
func churn(t *testing.T, s *server, dice func(int) *rand.Rand, first int, how time.Duration) int {
	t.Helper()
	end := time.Now().Add(how)
	var cycles atomic.Int64
	var wg sync.WaitGroup
	for id := range churnClients {
		client := newCaller(t, s.url)
		wg.Go(func() {
			chance := dice(first + id)
			for i := id; time.Now().Before(end); i += churnClients {
				name := fmt.Sprintf("churn-%d", i%churnNames/churnClients*churnClients+id)
				if err := client.live(chance, name); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				cycles.Add(1)
			}
			client.http.CloseIdleConnections()
		})
	}
	wg.Wait()
	return int(cycles.Load())
}

// live leads one function through its life.
func (c *caller) live(dice *rand.Rand, name string) error {
	kind := churnKinds[dice.IntN(len(churnKinds))]
	settings := map[string]any{"name": name, "code": kind.code, "timeout_sec": kind.timeout(), "memory_mb": 128}
	if err := c.want(http.StatusCreated, http.MethodPost, "/api/v1/functions", settings); err != nil {
		return err
	}
	for range 2 {
		if err := c.outcome(name, kind.status); err != nil {
			return err
		}
	}
	if dice.IntN(3) == 0 {
		settings = map[string]any{"code": churnStream}
	} else {
		kind = churnKinds[dice.IntN(len(churnKinds))]
		settings = map[string]any{"code": kind.code, "timeout_sec": kind.timeout()}
	}
	if err := c.want(http.StatusOK, http.MethodPut, "/api/v1/functions/"+name, settings); err != nil {
		return err
	}
	var err error
	if settings["code"] == churnStream {
		err = c.breakOff(name)
	} else {
		err = c.outcome(name, kind.status)
	}
	if err != nil {
		return err
	}
	if err := c.want(http.StatusNoContent, http.MethodDelete, "/api/v1/functions/"+name, nil); err != nil {
		return err
	}
	return c.want(http.StatusNotFound, http.MethodPost, "/api/v1/functions/"+name+"/invoke", "{}")
}

// want sends a request that has to be answered with a status.
func (c *caller) want(status int, method, path string, body any) error {
	r, err := c.send(method, path, body)
	if err == nil && r.status != status {
		err = fmt.Errorf("%s %s: %s, want %d", method, path, r, status)
	}
	return err
}

// outcome calls a function that has to come to a status.
func (c *caller) outcome(name string, status int) error {
	a, r, err := c.invoke(name, "{}")
	if err == nil && (r.status != http.StatusOK || a.StatusCode != status) {
		err = fmt.Errorf("invoke: %s, want %d", r, status)
	}
	return err
}

// breakOff reads the beginning of a stream and goes away.
func (c *caller) breakOff(name string) error {
	resp, err := c.http.Get(c.url + "/fn/default/" + name)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got := make([]byte, 1000)
	if _, err := io.ReadFull(resp.Body, got); err != nil || !bytes.Contains(got, []byte("xxx")) {
		return fmt.Errorf("stream: %d %.100s: %w", resp.StatusCode, got, err)
	}
	return nil
}

// entries counts what a directory holds.
func entries(t *testing.T, path ...string) int {
	t.Helper()
	found, err := os.ReadDir(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}
