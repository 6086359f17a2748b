package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"nimbus/internal/pool"
)

func TestReadyOnlyWhileInstancesCanBeHad(t *testing.T) {
	t.Parallel()
	p := &program{}
	has := func(failing bool, states map[pool.State]int) pool.Stats {
		return pool.Stats{Stocks: []pool.StockStats{{Runtime: "python3.11", Blanks: 5, States: states, Failing: failing}, {Runtime: "nodejs20"}}}
	}
	for _, step := range []struct {
		what  string
		stats pool.Stats
		says  string // "" = ready
	}{
		{"before the first blank", has(false, map[pool.State]int{pool.Starting: 2}), "no instance is up yet"},
		{"when it could not be started", has(true, nil), "no instance can be started"},
		{"with a blank", has(false, map[pool.State]int{pool.Blank: 1, pool.Starting: 1}), ""},
		{"when all are replaced", has(false, map[pool.State]int{pool.Starting: 2, pool.Stopping: 5}), ""},
		{"when the rest still serves", has(true, map[pool.State]int{pool.Leased: 1}), ""},
		{"when none is left and none can be started", has(true, map[pool.State]int{pool.Stopping: 1}), "the server's log"},
		{"when it has healed", has(false, map[pool.State]int{pool.Idle: 1}), ""},
	} {
		switch err := p.checkInstances(step.stats); {
		case step.says == "" && err != nil, step.says != "" && (err == nil || !strings.Contains(err.Error(), step.says)):
			t.Errorf("%s: %v, want %q", step.what, err, step.says)
		}
	}
	onDemand := pool.Stats{Stocks: []pool.StockStats{{Runtime: "python3.11"}}}
	if err := new(program).checkInstances(onDemand); err != nil {
		t.Errorf("where none are to be kept ahead: %v", err)
	}
}

func TestReadyWithinASecond(t *testing.T) {
	t.Parallel()
	best := time.Hour
	for range 5 { // the machine has other things to do
		data, began := t.TempDir(), time.Now()
		s := startServer(t, data)
		best = min(best, time.Since(began))
		if status, _, body := s.request(http.MethodGet, "/health/ready", ""); status != http.StatusOK {
			t.Errorf("a server that says it is ready answers %d %s", status, body)
		}
		s.stop()
		if best < time.Second {
			return
		}
	}
	t.Errorf("the fastest of five starts took %s", best)
}
