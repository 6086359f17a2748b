package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nimbus/internal/testenv"
)

// sharedAnswer is what is told of a call that shares its instance.
type sharedAnswer struct {
	answer
	MemoryUsedMB *float64 `json:"memory_used_mb"`
	Logs         []string `json:"logs"`
	Place        struct {
		N, Most int
	} `json:"-"`
}

// shareOne deploys the function whose instances take 50 calls at once, on a server that holds one instance.
func shareOne(t *testing.T, flags ...string) *server {
	t.Helper()
	testenv.RequireNode(t)
	s := startConfigured(t, "pool: {runtimes: [{runtime: nodejs, min_warm: 0, target_warm: 0, max_total: 1}]}\n")
	s.run(append([]string{"deploy", "testdata/shared", "--name", "shared", "--instance-concurrency", "50"}, flags...)...)
	return s
}

// callShared makes as many calls at once as there are words, of which each says what its call does.
func (s *server) callShared(then ...string) []sharedAnswer {
	s.t.Helper()
	answers := make([]sharedAnswer, len(then))
	var all sync.WaitGroup
	for n, what := range then {
		all.Go(func() {
			event := fmt.Sprintf(`{"n":%d,"calls":%d,"then":%q}`, n, len(then), what)
			status, _, body := s.request(http.MethodPost, "/api/v1/functions/shared/invoke?logs=true", event)
			if err := json.Unmarshal(body, &answers[n]); err != nil || status != http.StatusOK {
				s.t.Errorf("call %d: HTTP %d %s, %v", n, status, body, err)
			}
			_ = json.Unmarshal(answers[n].Body, &answers[n].Place) // a failed call has no body
		})
	}
	all.Wait()
	return answers
}

func TestCallsShareAnInstance(t *testing.T) {
	t.Parallel()
	s := shareOne(t)
	s.callShared("") // so that the import is not measured
	const calls = 50
	began := time.Now()
	answers := s.callShared(make([]string, calls)...)
	took := time.Since(began)
	t.Logf("%d calls of 200 ms took %s", calls, took)
	if took > 5*time.Second { // one after the other they would take ten
		t.Errorf("%d calls of 200 ms took %s", calls, took)
	}
	instances := make(map[string]bool)
	for n, a := range answers {
		if a.StatusCode != 200 || a.Place.N != n || a.Place.Most != calls {
			t.Errorf("call %d: %d %s, %s", n, a.StatusCode, a.Body, a.Error)
		}
		if want := []string{fmt.Sprintf("call %d begins", n), fmt.Sprintf("call %d ends", n)}; !slices.Equal(a.Logs, want) {
			t.Errorf("call %d logged %q", n, a.Logs)
		}
		if a.MemoryUsedMB != nil {
			t.Errorf("call %d is said to have used %v MB", n, *a.MemoryUsedMB)
		}
		_, _, body := s.request(http.MethodGet, "/api/v1/invocations/"+a.RequestID, "")
		var record struct {
			VMID         string   `json:"vm_id"`
			MemoryUsedMB *float64 `json:"memory_used_mb"`
		}
		if err := json.Unmarshal(body, &record); err != nil || record.MemoryUsedMB != nil {
			t.Errorf("the record of call %d: %s, %v", n, body, err)
		}
		instances[record.VMID] = true
	}
	if len(instances) != 1 {
		t.Errorf("the calls ran in %d instances", len(instances))
	}
	logged := s.run("logs", "shared", "--invocation", answers[7].RequestID)
	if !strings.Contains(logged, "call 7 begins") || !strings.Contains(logged, "call 7 ends") || strings.Count(logged, "call ") != 2 {
		t.Errorf("the log of call 7:\n%s", logged)
	}
	if why := s.run("invocation", "why", answers[7].RequestID); !strings.Contains(why, "shared by up to 50 calls at once") {
		t.Errorf("why says:\n%s", why)
	}
}

// TestNeighboursInAnInstance has one of several calls end badly: each is told what concerns it, and the next call
// finds another instance.
func TestNeighboursInAnInstance(t *testing.T) {
	t.Parallel()
	for what, tt := range map[string]struct {
		status          int
		errorType, says string // of the call that does it
		neighbour       int    // status of the others
		neighbourError  string
	}{
		"throw": {500, "TypeError", "of no use", 200, ""},
		"hang":  {504, "Timeout", "timed out after 3.00 s", 200, ""},
		"exit": {500, "Runtime.ExitError", "exit status 3", 500,
			"exit status 3: the instance was shared, and another call ended it"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := shareOne(t, "--timeout-sec", "3")
			s.callShared("")
			answers := s.callShared(what, "", "")
			if a := answers[0]; a.StatusCode != tt.status || a.ErrorType != tt.errorType || !strings.Contains(a.Error, tt.says) {
				t.Errorf("the call: %d, %s: %s", a.StatusCode, a.ErrorType, a.Error)
			}
			for _, a := range answers[1:] {
				if a.StatusCode != tt.neighbour || !strings.Contains(a.Error, tt.neighbourError) {
					t.Errorf("a neighbour: %d, %s: %s", a.StatusCode, a.ErrorType, a.Error)
				}
			}
			if a := s.callShared("")[0]; a.StatusCode != 200 || !a.ColdStart {
				t.Errorf("the next call: %+v", a)
			}
		})
	}
}

func TestSharingMustBeDeclared(t *testing.T) {
	t.Parallel()
	s := shareOne(t, "--instance-concurrency", "51")
	if a := s.invoke("shared", `{"n":1}`); a.StatusCode != 500 || a.ErrorType != "Runtime.InitError" ||
		!strings.Contains(a.Error, "instance_concurrency is 51, and the module exports instanceConcurrency = 50") {
		t.Errorf("got %+v", a)
	}
}
