//go:build soak

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nimbus/internal/testenv"
)

const (
	restoreCallers = 16
	restoreTimes   = 5
	restoreKills   = 20
	restoreSet     = 6                      // functions of each installation
	restoreWindow  = 200 * time.Millisecond // in which a restore is killed
)

// Restores of a running installation: whoever calls it sees answers, of the old one or of the new one, and
// never an error.
func TestSoakRestoreUnderLoad(t *testing.T) {
	adoptOrphans(t)
	data := t.TempDir()
	s := startServer(t, data, quiet()...)
	admin := newCaller(t, s.url)
	archives := make(map[string][]byte)
	for _, side := range []string{"old", "new"} {
		install(t, admin, side)
		archives[side] = takeBackup(t, admin)
	}
	end := make(chan struct{})
	var wg sync.WaitGroup
	var calls atomic.Int64
	stopCallers := sync.OnceFunc(func() {
		close(end)
		wg.Wait()
	})
	defer stopCallers()
	for id := range restoreCallers {
		client := newStranger(s.url)
		if id%2 == 0 { // one whose connection stays open
			client = newCaller(t, s.url)
		}
		wg.Go(func() {
			for i := id; ; i++ {
				a, r, err := client.invoke("set-"+strconv.Itoa(i%restoreSet), "1")
				if err != nil || r.status != http.StatusOK || string(a.Body) != `"old"` && string(a.Body) != `"new"` {
					t.Errorf("caller %d: %v %s", id, err, r)
				}
				calls.Add(1)
				select {
				case <-end:
					return
				default:
				}
			}
		})
	}
	var longest time.Duration
	for i := range restoreTimes {
		side := []string{"old", "new"}[i%2]
		begun := time.Now()
		started := startedAt(t, s)
		takeBackup(t, admin) // under load too
		if r, err := admin.send(http.MethodPost, "/api/v1/restore", bytes.NewReader(archives[side])); err != nil || r.status/100 != 2 {
			t.Fatalf("restore: %v %s", err, r)
		}
		admin.http.CloseIdleConnections()
		testenv.Eventually(t, 30*time.Second, func() bool { return !startedAt(t, s).Equal(started) })
		longest = max(longest, time.Since(begun))
		if got := whole(t, newStranger(s.url)); got != side {
			t.Errorf("after the restore of %s the installation is %s", side, got)
		}
	}
	stopCallers()
	t.Logf("%d calls during %d backups and restores, the longest of which took %s", calls.Load(), restoreTimes, longest)
	if code := s.stop(); code != 0 {
		t.Errorf("SIGTERM ended it with %d", code)
	}
	checkNothingLeft(t, data)
}

// A restore that is killed at any moment leaves the old installation or the new one, whole.
func TestSoakRestoreKilled(t *testing.T) {
	adoptOrphans(t)
	chance := soakDice(t)(0)
	data := t.TempDir()
	s := startServer(t, data, quiet()...)
	admin := newCaller(t, s.url)
	archives := make(map[string][]byte)
	for _, side := range []string{"old", "new"} {
		install(t, admin, side)
		archives[side] = takeBackup(t, admin)
	}
	is, switched := "new", 0
	for round := range restoreKills {
		var wg sync.WaitGroup
		wg.Go(func() { // the kill may cut its answer off
			_, _ = newStranger(s.url).send(http.MethodPost, "/api/v1/restore", bytes.NewReader(archives[otherSide(is)]))
		})
		pause(t.Context(), between(chance, 0, restoreWindow))
		s.kill()
		wg.Wait()
		s = startServer(t, data, quiet()...)
		if left := orphans(t, s.cmd.Process.Pid); len(left) > 0 {
			t.Errorf("round %d: processes %v of the killed server run", round, left)
		}
		got := whole(t, newStranger(s.url))
		switch got {
		case is:
		case otherSide(is):
			is = got
			switched++
		default:
			t.Fatalf("round %d: the installation is %s", round, got)
		}
	}
	t.Logf("%d restores were killed, %d of them after the point of no return", restoreKills, switched)
	if code := s.stop(); code != 0 {
		t.Errorf("SIGTERM ended it with %d", code)
	}
	checkNothingLeft(t, data)
}

// install makes a set of functions, or changes it, so that each returns the side it is of; one more is there
// on that side alone.
func install(t *testing.T, c *caller, side string) {
	t.Helper()
	code := fmt.Sprintf("def handle(e):\n return %q\n", side)
	for i := range restoreSet {
		name := "set-" + strconv.Itoa(i)
		r, err := c.send(http.MethodPut, "/api/v1/functions/"+name, map[string]any{"code": code})
		if err == nil && r.status == http.StatusNotFound {
			r, err = c.send(http.MethodPost, "/api/v1/functions", map[string]any{"name": name, "code": code})
		}
		if err != nil || r.status/100 != 2 {
			t.Fatalf("install %s: %v %s", name, err, r)
		}
	}
	if err := c.want(http.StatusCreated, http.MethodPost, "/api/v1/functions", map[string]any{"name": "only-" + side, "code": code}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.send(http.MethodDelete, "/api/v1/functions/only-"+otherSide(side), nil); err != nil {
		t.Fatal(err)
	}
}

func otherSide(side string) string {
	if side == "old" {
		return "new"
	}
	return "old"
}

// takeBackup returns a backup.
func takeBackup(t *testing.T, c *caller) []byte {
	t.Helper()
	r, err := c.send(http.MethodGet, "/api/v1/backup", nil)
	if err != nil || r.status != http.StatusOK {
		t.Fatalf("backup: %v %s", err, r)
	}
	return r.body
}

// whole tells which side the installation is of, or what is wrong with it.
func whole(t *testing.T, c *caller) string {
	t.Helper()
	sides := make(map[string]int)
	for i := range restoreSet {
		a, r, err := c.invoke("set-"+strconv.Itoa(i), "1")
		if err != nil || r.status != http.StatusOK {
			return fmt.Sprintf("broken: %v %s", err, r)
		}
		var side string
		if err := json.Unmarshal(a.Body, &side); err != nil {
			return fmt.Sprintf("broken: %v %s", err, r)
		}
		sides[side]++
	}
	for _, side := range []string{"old", "new"} {
		r, err := c.send(http.MethodGet, "/api/v1/functions/only-"+side, nil)
		if err == nil && r.status == http.StatusOK && sides[side] == restoreSet {
			return side
		}
	}
	return fmt.Sprintf("mixed: %v", sides)
}

// startedAt asks since when the server runs.
func startedAt(t *testing.T, s *server) time.Time {
	t.Helper()
	r, err := newStranger(s.url).send(http.MethodGet, "/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	var health struct {
		StartedAt time.Time `json:"started_at"`
	}
	if err := json.Unmarshal(r.body, &health); err != nil {
		t.Fatalf("%v in %s", err, r)
	}
	return health.StartedAt
}
