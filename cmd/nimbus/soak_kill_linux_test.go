//go:build soak

package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	killRounds    = 50
	killTenants   = 6
	killFunctions = 4               // of each tenant
	killReady     = 5 * time.Second // from the start of a server to its being ready, with the race detector
	// recordDelay bounds what a crash may take of the records and logs of answered calls: what was not yet
	// handed to the operating system.
	recordDelay = time.Second
)

// A server that is killed at any moment has lost nothing that it answered, and leaves nothing behind.
func TestSoakKills(t *testing.T) {
	adoptOrphans(t)
	dice := soakDice(t)
	chance := dice(-1)
	data := t.TempDir()
	var tenants []*tenant
	for i := range killTenants {
		tenants = append(tenants, newTenant(i, killFunctions, 4<<10, dice(i)))
	}
	var slowest time.Duration
	var tally tally
	var killed time.Time
	for round := range killRounds {
		if round%5 == 4 { // one that is killed before it is ready
			early := launchServer(t, data, quiet()...)
			pause(t.Context(), between(chance, 0, 600*time.Millisecond))
			early.kill()
		}
		begun := time.Now()
		s := startServer(t, data, quiet()...)
		slowest = max(slowest, time.Since(begun))
		if left := orphans(t, s.cmd.Process.Pid); len(left) > 0 {
			t.Errorf("round %d: processes %v of the killed server run", round, left)
		}
		if left := mounts(t, data); len(left) > 0 {
			t.Errorf("round %d: mounted are %v", round, left)
		}
		each(tenants, func(who *tenant) {
			who.client = newCaller(t, s.url)
			who.settle()
			tally.count(who, killed)
		})
		var wg sync.WaitGroup
		for _, who := range tenants {
			wg.Go(func() { who.run(nil) })
		}
		pause(t.Context(), between(chance, 20*time.Millisecond, 2500*time.Millisecond))
		killed = time.Now()
		s.kill()
		wg.Wait()
		checkStores(t, data)
		for _, who := range tenants {
			who.report(t)
		}
		if t.Failed() {
			t.Fatalf("round %d failed", round)
		}
	}
	if slowest > killReady {
		t.Errorf("one start took %s", slowest)
	}
	s := startServer(t, data, quiet()...)
	if code := s.stop(); code != 0 {
		t.Errorf("SIGTERM ended it with %d", code)
	}
	checkNothingLeft(t, data)
	t.Logf("%d kills; %d changes and %d calls were answered; the slowest start took %s; %d records were lost, none older than %s",
		killRounds, tally.writes, tally.calls, slowest, tally.records, recordDelay)
}

// tally is what became of many rounds.
type tally struct {
	mu                     sync.Mutex
	writes, calls, records int // answered, answered, lost
}

// count adds a tenant's round to the tally and checks that its calls were recorded and logged.
func (y *tally) count(who *tenant, killed time.Time) {
	lost := 0
	for i, c := range who.calls {
		owed := c.at.Add(recordDelay).Before(killed)
		r, err := who.client.send(http.MethodGet, "/api/v1/invocations/"+c.id, nil)
		if err != nil {
			who.complain("%w", err)
			return
		}
		if r.status != http.StatusOK {
			lost++
		}
		if r.status != http.StatusOK && (owed || r.status != http.StatusNotFound) {
			who.complain("the record of a call of %s, answered %s before the kill: %s", c.of.name, killed.Sub(c.at), r)
		}
		if i%10 != 0 || !owed || !c.there() {
			continue
		}
		r, err = who.client.send(http.MethodGet, "/api/v1/functions/"+c.of.name+"/logs?invocation="+c.id, nil)
		if err != nil || r.status != http.StatusOK || !strings.Contains(string(r.body), "said "+c.event) {
			who.complain("the log of a call of %s, answered %s before the kill: %v %s", c.of.name, killed.Sub(c.at), err, r)
		}
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	y.writes += who.writes
	y.calls += len(who.calls)
	y.records += lost
	who.writes, who.calls = 0, nil
}

// each does something for every tenant at once.
func each(tenants []*tenant, do func(*tenant)) {
	var wg sync.WaitGroup
	for _, who := range tenants {
		wg.Go(func() { do(who) })
	}
	wg.Wait()
}

// checkNothingLeft looks at the machine after a clean stop.
func checkNothingLeft(t *testing.T, data string) {
	t.Helper()
	if left := orphans(t, 0); len(left) > 0 {
		t.Errorf("a clean stop left the processes %v", left)
	}
	if left := cgroups(t, data); len(left) > 0 {
		t.Errorf("a clean stop left the cgroups %v", left)
	}
	if left := mounts(t, data); len(left) > 0 {
		t.Errorf("a clean stop left the mounts %v", left)
	}
	if left := debris(t, data); len(left) > 0 {
		t.Errorf("a clean stop left the files %v", left)
	}
	checkStores(t, data)
}
