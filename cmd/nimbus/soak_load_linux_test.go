//go:build soak

package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nimbus/internal/testenv"
)

const (
	loadClients   = 64
	loadFunctions = 30
	loadInstances = 24 // fewer than functions, so that cold ones have to take the place of others
	loadTime      = 60 * time.Second
	loadHotShare  = 0.9 // of the calls, which go to the first few functions
	loadHot       = 3
)

// Many clients on more functions than there may be instances: no error, and never more instances.
func TestSoakLoad(t *testing.T) {
	adoptOrphans(t)
	dice := soakDice(t)
	data := t.TempDir()
	s := startServer(t, data, append(quiet(), "--config", poolFile(t, loadInstances, 2048))...)
	setup := newCaller(t, s.url)
	for i := range loadFunctions {
		code := fmt.Sprintf("def handle(e):\n return [%d, e]\n", i)
		if err := setup.want(http.StatusCreated, http.MethodPost, "/api/v1/functions", map[string]any{"name": loadName(i), "code": code}); err != nil {
			t.Fatal(err)
		}
	}
	var most atomic.Int64
	end := make(chan struct{})
	var watch, wg sync.WaitGroup
	watch.Go(func() {
		for {
			most.Store(max(most.Load(), int64(gauges(t, s)["nimbus_vm_pool_size"])))
			select {
			case <-end:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	measured := make([]latencies, loadClients)
	until := time.Now().Add(loadTime)
	for id := range loadClients {
		client := newCaller(t, s.url)
		wg.Go(func() {
			chance := dice(id)
			for n := 0; time.Now().Before(until); n++ {
				i := chance.IntN(loadFunctions)
				if chance.Float64() < loadHotShare {
					i %= loadHot
				}
				if err := measured[id].call(client, chance, i); err != nil {
					t.Errorf("client %d, call %d: %v", id, n, err)
				}
			}
		})
	}
	wg.Wait()
	close(end)
	watch.Wait()
	all := latencies{}
	for _, m := range measured {
		all.warm, all.cold = append(all.warm, m.warm...), append(all.cold, m.cold...)
	}
	t.Logf("%d warm calls: %s; %d cold: %s; at most %d instances", len(all.warm), quantiles(all.warm), len(all.cold), quantiles(all.cold), most.Load())
	if most.Load() > loadInstances {
		t.Errorf("there were %d instances, %d are allowed", most.Load(), loadInstances)
	}
	if code := s.stop(); code != 0 {
		t.Errorf("SIGTERM ended it with %d", code)
	}
	checkNothingLeft(t, data)
}

// More calls than may wait are told to come back, at once; the others are answered.
func TestSoakOverload(t *testing.T) {
	adoptOrphans(t)
	data := t.TempDir()
	s := startServer(t, data, append(quiet(), "--config", poolFile(t, 2, 4))...)
	s.deploy("slow", "import time\ndef handle(e):\n time.sleep(0.2)\n return e\n")
	var answered, refused atomic.Int64
	var wg sync.WaitGroup
	for range loadClients {
		client := newCaller(t, s.url)
		wg.Go(func() {
			for range 10 {
				a, r, err := client.invoke("slow", "1")
				switch {
				case err == nil && r.status == http.StatusOK && a.StatusCode == http.StatusOK:
					answered.Add(1)
				case err == nil && r.status == http.StatusTooManyRequests && r.header.Get("Retry-After") != "":
					refused.Add(1)
				default:
					t.Errorf("%v %s", err, r)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d calls were answered, %d refused", answered.Load(), refused.Load())
	if answered.Load() == 0 || refused.Load() == 0 {
		t.Error("one of both never happened")
	}
	testenv.Eventually(t, 10*time.Second, func() bool { return gauges(t, s)["nimbus_scheduler_queue_size"] == 0 })
	s.invoke("slow", "1")
}

// poolFile configures a pool that may have so many instances, and calls that wait.
func poolFile(t *testing.T, instances, queue int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nimbus.yaml")
	text := fmt.Sprintf("pool: {runtimes: [{runtime: python3, min_warm: 1, target_warm: 2, max_total: %d}]}\nscheduler: {queue_size: %d}\n", instances, queue)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func loadName(i int) string { return "load-" + strconv.Itoa(i) }

// latencies are the times of answered calls.
type latencies struct{ warm, cold []time.Duration }

// call calls function i and notes how long its answer took.
func (l *latencies) call(c *caller, dice *rand.Rand, i int) error {
	event := strconv.Itoa(dice.Int())
	begun := time.Now()
	a, r, err := c.invoke(loadName(i), event)
	if err != nil {
		return err
	}
	if want := fmt.Sprintf("[%d,%s]", i, event); string(a.Body) != want {
		return fmt.Errorf("%s, want %s", r, want)
	}
	if a.ColdStart {
		l.cold = append(l.cold, time.Since(begun))
	} else {
		l.warm = append(l.warm, time.Since(begun))
	}
	return nil
}

func quantiles(times []time.Duration) string {
	if len(times) == 0 {
		return "none"
	}
	slices.Sort(times)
	at := func(q float64) time.Duration { return times[int(q*float64(len(times)-1))].Round(10 * time.Microsecond) }
	return fmt.Sprintf("p50 %s, p99 %s, most %s", at(0.5), at(0.99), at(1))
}
