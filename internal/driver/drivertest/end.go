package drivertest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"nimbus/internal/driver"
	"nimbus/internal/testenv"
)

// endCases are about how instances end.
func endCases() []testCase {
	return []testCase{
		{"exit in the middle of a call", "exit", func(t *testing.T, s *suite) {
			var out transcript
			i := s.claimWith(t, s.codeOf("exit"), &out)
			outcome, err := invoke(t, i, 7)
			switch {
			case err == nil && outcome.Resp.OK:
				t.Errorf("outcome %+v", outcome.Resp)
			case err == nil && !outcome.Resp.Ending: // the instance is more than the process that ended
				if again, err := invoke(t, i, 7); err != nil || again.Resp.OK || again.Resp.Type != outcome.Resp.Type {
					t.Errorf("outcome %+v, then %+v, %v", outcome.Resp, again.Resp, err)
				}
				return
			case err != nil:
				if exit := exitOf(t, err); exit.Code != 7 || exit.Signal != 0 || exit.OutOfMemory || exit.Stopped {
					t.Errorf("exit %+v", exit)
				}
			}
			if errors.Is(err, driver.ErrNotSent) {
				t.Error("an event that user code saw counts as not sent")
			}
			if exit := awaitDone(t, i); exit.Code != 7 {
				t.Errorf("exit %+v", exit)
			}
			if _, err := invoke(t, i, 0); !errors.Is(err, driver.ErrNotSent) || exitOf(t, err).Code != 7 {
				t.Errorf("a call of an ended instance: %v", err)
			}
		}},
		{"death by signal", "abort", func(t *testing.T, s *suite) {
			_, err := invoke(t, s.claim(t, "abort"), nil)
			// Which signal ends an abort depends on whether the process is PID 1 of its namespace.
			if exit := exitOf(t, err); exit.Signal == 0 || exit.Code != -1 || exit.OutOfMemory || exit.Stopped {
				t.Errorf("exit %+v", exit)
			}
		}},
		{"deadline, then stop", "loop", func(t *testing.T, s *suite) {
			i := s.claim(t, "loop")
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			began := time.Now()
			if _, err := i.Invoke(ctx, newCall([]byte("null"))); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
			if took := time.Since(began); took > patience/2 {
				t.Errorf("the deadline of 100 ms took %s", took)
			}
			stopped(t, i)
			if exit := i.Exit(); !exit.Stopped {
				t.Errorf("exit %+v", exit)
			}
		}},
		{"stop is idempotent and concurrent", "echo", func(t *testing.T, s *suite) {
			i := s.claim(t, "echo")
			var group sync.WaitGroup
			for range 20 {
				group.Go(func() { stopped(t, i) })
			}
			group.Wait()
			stopped(t, i)
		}},
		{"stop of a blank", "echo", func(t *testing.T, s *suite) {
			i := s.blank(t, nil)
			stopped(t, i)
			if _, err := i.Specialize(t.Context(), s.codeOf("echo")); err == nil {
				t.Error("specialize after stop: no error")
			}
			if err := i.Ping(t.Context()); err == nil {
				t.Error("ping after stop: no error")
			}
			if _, err := i.Stats(t.Context()); err == nil {
				t.Error("stats after stop: no error")
			}
		}},
		{"stop during a call", "loop", func(t *testing.T, s *suite) {
			var out transcript
			i := s.claimWith(t, s.codeOf("loop"), &out)
			failed := make(chan error, 1)
			go func() {
				_, err := i.Invoke(context.Background(), newCall([]byte("null")))
				failed <- err
			}()
			testenv.Eventually(t, patience, func() bool { return out.of(driver.Stdout)+out.of(driver.Stderr) != "" })
			stopped(t, i)
			select {
			case err := <-failed:
				if exit := exitOf(t, err); !exit.Stopped {
					t.Errorf("exit %+v", exit)
				}
			case <-time.After(patience):
				t.Error("the call goes on after Stop")
			}
		}},
		{"stop during specialize", "slow", func(t *testing.T, s *suite) {
			code := s.codeOf("slow")
			var out transcript
			i := s.blank(t, &out)
			failed := make(chan error, 1)
			go func() {
				_, err := i.Specialize(context.Background(), code)
				failed <- err
			}()
			testenv.Eventually(t, patience, func() bool { return out.of(driver.Stdout) != "" })
			stopped(t, i)
			select {
			case err := <-failed:
				exitOf(t, err)
			case <-time.After(patience):
				t.Error("Specialize goes on after Stop")
			}
		}},
		{"stop at any moment of a start", "", func(t *testing.T, s *suite) {
			for n := range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*500*time.Microsecond)
				i, err := s.driver.Start(ctx, s.spec("hasty", nil))
				cancel()
				if err == nil {
					stopped(t, i)
				} else if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("start: %v", err)
				}
			}
		}},
		{"what a function leaves running ends with it", "background", func(t *testing.T, s *suite) {
			i := s.claim(t, "background")
			if n := call[int](t, i, 3); n != 3 {
				t.Fatalf("%d processes", n)
			}
			if stats, err := i.Stats(t.Context()); err != nil || stats.PIDs < 4 {
				t.Errorf("stats %+v, %v", stats, err)
			}
			stopped(t, i) // and the suite's end finds no process
		}},
		{"output of the last moment", "last", func(t *testing.T, s *suite) {
			var out transcript
			i := s.claimWith(t, s.codeOf("last"), &out)
			if outcome, err := invoke(t, i, nil); err != nil {
				exitOf(t, err)
				awaitDone(t, i)
			} else if outcome.Resp.Ending {
				awaitDone(t, i)
			}
			if got := out.of(driver.Stdout); len(got) != 60003 || !strings.HasSuffix(got, "end") {
				t.Errorf("%d bytes of output before the exit", len(got))
			}
		}},
	}
}
