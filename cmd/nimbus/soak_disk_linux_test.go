//go:build soak

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"nimbus/internal/testenv"
)

const (
	diskSize    = 384 << 20
	diskRounds  = 9
	diskTenants = 4
	diskPadding = 256 << 10        // of a function's code
	diskSpan    = 2 * time.Second  // of each state of the disk
	diskHealing = 15 * time.Second // until changes are taken again
)

// A disk that is full and has room again, over and over, under load: what was accepted is there, what was
// refused changed nothing, and calls go on. Every third time the server is killed while the disk is full.
func TestSoakDisk(t *testing.T) {
	adoptOrphans(t)
	dice := soakDice(t)
	chance := dice(-1)
	disk := testenv.TinyDisk(t, diskSize)
	data := filepath.Join(disk, "data")
	var tenants []*tenant
	for i := range diskTenants {
		tenants = append(tenants, newTenant(i, 4, diskPadding, dice(i)))
	}
	for round := range diskRounds {
		s := startServer(t, data, quiet()...)
		each(tenants, func(who *tenant) {
			who.client = newCaller(t, s.url)
			who.settle()
		})
		kill, end := round%3 == 2, make(chan struct{})
		var wg sync.WaitGroup
		for _, who := range tenants {
			wg.Go(func() {
				if !who.run(end) && !kill {
					who.complain("the server did not answer")
				}
			})
		}
		starve(t, disk, chance.Int64N(2*diskPadding))
		if kill {
			s.kill()
		}
		for _, file := range []string{"ballast", "rest"} {
			if err := os.Remove(filepath.Join(disk, file)); err != nil {
				t.Fatal(err)
			}
		}
		if !kill {
			heal(t, s, "healed-"+strconv.Itoa(round))
		}
		close(end)
		wg.Wait()
		s.end()
		checkStores(t, data)
		for _, who := range tenants {
			who.report(t)
		}
		if t.Failed() {
			t.Fatalf("round %d failed", round)
		}
	}
	s := startServer(t, data, quiet()...)
	writes, refused := 0, 0
	for _, who := range tenants {
		who.client = newCaller(t, s.url)
		who.settle()
		who.report(t)
		writes, refused = writes+who.writes, refused+who.refused
	}
	s.end()
	checkNothingLeft(t, data)
	t.Logf("%d changes were answered, %d refused for want of room", writes, refused)
	if refused == 0 {
		t.Error("the disk was never full")
	}
}

// starve takes the disk's room away, first all but a little: it lets a change come to any of its steps before
// there is none.
func starve(t *testing.T, disk string, little int64) {
	t.Helper()
	pause(t.Context(), diskSpan)
	ballast := filepath.Join(disk, "ballast")
	fill(t, ballast)
	info, err := os.Stat(ballast)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(ballast, info.Size()-little); err != nil {
		t.Fatal(err)
	}
	pause(t.Context(), diskSpan)
	fill(t, filepath.Join(disk, "rest"))
	pause(t.Context(), diskSpan)
}

// heal waits until changes are taken again.
func heal(t *testing.T, s *server, name string) {
	t.Helper()
	testenv.Eventually(t, diskHealing, func() bool {
		status, _, _ := s.request(http.MethodPost, "/api/v1/functions", `{"name":"`+name+`","code":"def handle(e): pass"}`)
		return status == http.StatusCreated
	})
}
