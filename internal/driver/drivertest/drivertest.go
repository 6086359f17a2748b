// Package drivertest specifies the driver contract: every implementation passes Run, with every language it
// runs. The cases are in the files named after what they are about; the functions they call are in suite.py,
// suite.js and testdata.
package drivertest

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/wire"
)

// patience bounds what should take milliseconds, on a machine that is very busy.
const patience = 60 * time.Second

// Harness is what the suite needs of an implementation.
type Harness struct {
	// New returns a driver that does not run yet, on a machine where nothing of an earlier one is left.
	New func(t *testing.T) driver.Driver
	// Suites are the languages of this machine that the driver runs.
	Suites []Suite
	// Secret is a file of the host that no instance may read.
	Secret string
	// Leftovers lists what the driver has on this machine now: processes, cgroups, mounts. It is called
	// after Run has returned.
	Leftovers func(t *testing.T) []string
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	before := openFiles(t)
	b := &booted{harness: h}
	b.boot(t)
	var suites []*suite
	for _, language := range h.Suites {
		s := &suite{booted: b, Suite: language, code: packageDir(t, language)}
		suites = append(suites, s)
		t.Run(language.Runtime.Name, s.run)
	}
	t.Run("nothing is left after run", func(t *testing.T) {
		var live []driver.Instance
		for _, s := range suites {
			live = append(live, s.claim(t, "echo"))
		}
		b.shutdown(t)
		for _, i := range live {
			select {
			case <-i.Done():
			default:
				t.Error("Run returned while an instance was not done")
			}
		}
		if _, err := b.driver.Start(t.Context(), suites[0].spec("late", nil)); err == nil {
			t.Error("Start after Run: no error")
		}
		if left := h.Leftovers(t); len(left) > 0 {
			t.Errorf("left behind: %s", strings.Join(left, ", "))
		}
		if after := openFiles(t); after > before {
			t.Errorf("%d open files, %d before", after, before)
		}
	})
}

type testCase struct {
	name  string
	calls string // the functions of the suite that it needs
	run   func(t *testing.T, s *suite)
}

// booted is a running driver.
type booted struct {
	harness Harness
	driver  driver.Driver
	stop    context.CancelFunc
	ended   chan error
	ids     atomic.Int64
}

// suite is a language on a running driver.
type suite struct {
	*booted
	Suite
	code string
}

func (s *suite) run(t *testing.T) {
	t.Run("cases", func(t *testing.T) {
		for _, group := range [][]testCase{lifeCases(), startCases(), endCases(), callCases(), sharedCases(), isolationCases(), limitCases()} {
			for _, c := range group {
				if !s.has(c.calls) {
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.run(t, s)
				})
			}
		}
	})
	t.Run("hundred starts", s.hundredStarts)
}

func (s *booted) boot(t *testing.T) {
	t.Helper()
	s.driver = s.harness.New(t)
	if r := s.driver.Probe(t.Context()); !r.Healthy {
		t.Fatalf("probe: %s", r.Reason)
	}
	if swept, err := s.driver.Sweep(t.Context()); err != nil || swept != (driver.Swept{}) {
		t.Fatalf("sweep of a clean machine: %+v, %v", swept, err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	s.stop, s.ended = cancel, make(chan error, 1)
	go func() { s.ended <- s.driver.Run(ctx) }()
	t.Cleanup(func() { s.shutdown(t) })
}

// shutdown ends Run; a second call does nothing.
func (s *booted) shutdown(t *testing.T) {
	t.Helper()
	s.stop()
	select {
	case err, first := <-s.ended:
		if first {
			close(s.ended)
		}
		if err != nil {
			t.Errorf("run: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("Run does not return")
	}
}

func (s *suite) resources() driver.Resources {
	return driver.Resources{Memory: 128 * nimbus.MiB, CPUMilli: 2000, PIDs: 64, Tmp: 16 * nimbus.MiB}
}

// spec is one of an instance whose output goes to out, or nowhere.
func (s *suite) spec(id string, out *transcript) driver.Spec {
	if out == nil {
		out = &transcript{}
	}
	blank := s.resources()
	blank.Memory *= 2 // so that a claim has to change it
	blank.Tmp *= 2
	return driver.Spec{ID: id, Runtime: s.Runtime, Resources: blank, Output: out.write}
}

func (s *suite) codeOf(function string) driver.Code {
	return driver.Code{Dir: s.code, Resources: s.resources(), Init: wire.InitMsg{
		Handler: s.Handler(function), CodeDir: "/var/function", FunctionName: "suite", FunctionID: "id",
		FunctionVersion: "1", Namespace: "default", MemoryMB: 128, MaxResponse: 6 * nimbus.MiB, MaxStream: 20 * nimbus.MiB,
	}}
}

// blank starts an instance that is stopped when the test ends.
func (s *suite) blank(t *testing.T, out *transcript) driver.Instance {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	i, err := s.driver.Start(ctx, s.spec("suite-"+strconv.FormatInt(s.ids.Add(1), 10), out))
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() { stopped(t, i) })
	return i
}

// claim starts an instance of a function of the suite.
func (s *suite) claim(t *testing.T, function string) driver.Instance {
	t.Helper()
	return s.claimWith(t, s.codeOf(function), nil)
}

func (s *suite) claimWith(t *testing.T, code driver.Code, out *transcript) driver.Instance {
	t.Helper()
	i := s.blank(t, out)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := i.Specialize(ctx, code); err != nil {
		t.Fatalf("specialize: %v", err)
	}
	return i
}

// call runs an event that must succeed and decodes its result.
func call[T any](t *testing.T, i driver.Instance, event any) T {
	t.Helper()
	var result T
	outcome, err := invoke(t, i, event)
	if err != nil {
		t.Fatalf("invoke: %v", err)
	}
	if !outcome.Resp.OK {
		t.Fatalf("invoke: %s: %s", outcome.Resp.Type, outcome.Resp.Message)
	}
	if err := json.Unmarshal(outcome.Result, &result); err != nil {
		t.Fatalf("result: %v", err)
	}
	return result
}

func invoke(t *testing.T, i driver.Instance, event any) (driver.Outcome, error) {
	t.Helper()
	b, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return i.Invoke(ctx, newCall(b))
}

func newCall(event []byte) *driver.Call {
	return &driver.Call{
		Meta:  wire.ExecMeta{RequestID: nimbus.NewID().String(), DeadlineMS: time.Now().Add(patience).UnixMilli()},
		Event: event,
	}
}

// stopped stops an instance and checks that it is done.
func stopped(t *testing.T, i driver.Instance) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := i.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
		return
	}
	select {
	case <-i.Done():
	default:
		t.Error("Stop returned before the instance was done")
	}
}

// awaitDone waits for an instance to end by itself and returns how.
func awaitDone(t *testing.T, i driver.Instance) driver.Exit {
	t.Helper()
	select {
	case <-i.Done():
	case <-time.After(patience):
		t.Fatal("the instance does not end")
	}
	return i.Exit()
}

// exitOf returns the exit in err's chain.
func exitOf(t *testing.T, err error) driver.Exit {
	t.Helper()
	var exit *driver.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("error %v, want an ExitError", err)
	}
	return exit.Exit
}

// transcript keeps what an instance prints.
type transcript struct {
	mu   sync.Mutex
	text [3]strings.Builder // by stream
}

func (o *transcript) write(stream driver.Stream, p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text[stream].Write(p)
}

func (o *transcript) of(stream driver.Stream) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text[stream].String()
}

func packageDir(t *testing.T, s Suite) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.Write(t, dir)
	return dir
}

// openFiles counts this process's descriptors, 0 where /proc can't tell.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
