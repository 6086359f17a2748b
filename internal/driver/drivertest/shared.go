package drivertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"nimbus"
	"nimbus/internal/driver"
)

// meeting is an event of the function meet.
type meeting struct {
	Calls int    `json:"calls"`
	Name  string `json:"name"`
	Then  string `json:"then,omitempty"`
}

// met is what a call at a meeting came to.
type met struct {
	outcome driver.Outcome
	err     error
	out     *transcript
}

// share starts an instance for so many calls at once.
func (s *suite) share(t *testing.T, atOnce int, out *transcript) driver.Instance {
	t.Helper()
	code := s.codeOf("meet")
	code.Init.Concurrency = atOnce
	return s.claimWith(t, code, out)
}

// meet begins a call.
func meet(ctx context.Context, t *testing.T, i driver.Instance, m meeting) <-chan met {
	t.Helper()
	event, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan met, 1)
	go func() {
		result := met{out: &transcript{}}
		c := newCall(event)
		c.Output = result.out.write
		result.outcome, result.err = i.Invoke(ctx, c)
		done <- result
	}()
	return done
}

// sharedCases are about several calls at once in one instance.
func sharedCases() []testCase {
	return []testCase{
		{"calls at once", "meet", func(t *testing.T, s *suite) {
			const calls = 20
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			var rest transcript
			i := s.share(t, calls, &rest)
			for round := range 3 {
				var all []<-chan met
				for n := range calls {
					all = append(all, meet(ctx, t, i, meeting{Calls: calls, Name: fmt.Sprintf("%d.%d", round, n)}))
				}
				for n, done := range all {
					got, name := <-done, fmt.Sprintf("%d.%d", round, n)
					if got.err != nil || string(got.outcome.Result) != `"`+name+`"` {
						t.Errorf("call %s: %s, %+v, %v", name, got.outcome.Result, got.outcome.Resp, got.err)
					}
					out, errs := got.out.of(driver.Stdout), got.out.of(driver.Stderr)
					if out != name+" arrives\n" || errs != name+" leaves\n" {
						t.Errorf("call %s printed %q and %q", name, out, errs)
					}
					if m := got.outcome; m.Memory != (nimbus.MemoryUse{}) || m.CPU != 0 {
						t.Errorf("call %s is said to have used %+v and %s", name, m.Memory, m.CPU)
					}
				}
				if err := i.Ping(ctx); err != nil {
					t.Error(err)
				}
			}
			if out := rest.of(driver.Stdout); out != "" {
				t.Errorf("printed by no call: %q", out)
			}
		}},
		{"a call that is given up costs the others nothing", "meet", func(t *testing.T, s *suite) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			i := s.share(t, 3, nil)
			impatient, giveUp := context.WithCancel(ctx)
			stays := meet(impatient, t, i, meeting{Calls: 2, Name: "stays", Then: "stay"})
			first := <-meet(ctx, t, i, meeting{Calls: 2, Name: "first"})
			giveUp()
			if got := <-stays; !errors.Is(got.err, context.Canceled) {
				t.Errorf("the call: %v", got.err)
			}
			second := <-meet(ctx, t, i, meeting{Calls: 1, Name: "second"})
			for _, got := range []met{first, second} {
				if got.err != nil || !got.outcome.Resp.OK {
					t.Errorf("another: %+v, %v", got.outcome.Resp, got.err)
				}
			}
			stopped(t, i)
		}},
		{"an exit ends all calls", "meet", func(t *testing.T, s *suite) {
			i, all := s.meetAll(t, "exit")
			for n, got := range all {
				if r := got.outcome.Resp; got.err != nil || r.OK || r.Type != nimbus.ErrorTypeExited || !r.Ending {
					t.Errorf("call %d: %+v, %v", n, r, got.err)
				}
			}
			if exit := awaitDone(t, i); exit.Code != 7 {
				t.Errorf("exit %+v", exit)
			}
			if got := <-meet(t.Context(), t, i, meeting{Calls: 1}); !errors.Is(got.err, driver.ErrNotSent) {
				t.Errorf("one more: %v", got.err)
			}
		}},
		{"a crash ends all calls", "meet", func(t *testing.T, s *suite) {
			i, all := s.meetAll(t, "abort")
			for n, got := range all {
				if got.err == nil || errors.Is(got.err, driver.ErrNotSent) {
					t.Errorf("call %d: %+v, %v", n, got.outcome.Resp, got.err)
					continue
				}
				exitOf(t, got.err)
			}
			awaitDone(t, i)
		}},
		{"a call over the memory ends all calls", "meet hog", func(t *testing.T, s *suite) {
			i, all := s.meetAll(t, "hog")
			for n, got := range all {
				if exit := exitOf(t, got.err); !exit.OutOfMemory {
					t.Errorf("call %d: %+v", n, exit)
				}
			}
			awaitDone(t, i)
		}},
		{"an error nobody catches ends its call, and the instance after the others", "meet", func(t *testing.T, s *suite) {
			i, all := s.meetAll(t, "throw")
			for n, got := range all {
				if r := got.outcome.Resp; got.err != nil || !r.Ending || r.OK != (n > 0) || n == 0 && r.Type != s.Failure {
					t.Errorf("call %d: %+v, %v", n, r, got.err)
				}
			}
			awaitDone(t, i)
		}},
		{"stop ends all calls", "meet", func(t *testing.T, s *suite) {
			i := s.share(t, 3, nil)
			var all []<-chan met
			for range 2 {
				all = append(all, meet(t.Context(), t, i, meeting{Calls: 3, Then: "stay"}))
			}
			<-meet(t.Context(), t, i, meeting{Calls: 3})
			stopped(t, i)
			for _, done := range all {
				if got := <-done; got.err == nil {
					t.Errorf("%+v", got.outcome.Resp)
				}
			}
		}},
		{"calls at once that the code did not agree to", "meet", func(t *testing.T, s *suite) {
			code := s.codeOf("meet")
			code.Init.Concurrency = 101
			_, err := s.blank(t, nil).Specialize(t.Context(), code)
			var refused *driver.InitError
			if !errors.As(err, &refused) {
				t.Errorf("error %v", err)
			}
		}},
		{"a stream beside other calls", "stream meet", func(t *testing.T, s *suite) {
			code := s.codeOf("stream")
			code.Init.Concurrency = 2
			i := s.claimWith(t, code, nil)
			c := newCall([]byte(`{"items": 100, "size": 100000}`))
			c.Meta.Stream = true
			total := 0
			c.Chunk = func(_ string, raw []byte) error {
				if total == 0 {
					short := newCall([]byte(`{"items": 1, "size": 1}`))
					if outcome, err := i.Invoke(t.Context(), short); err != nil || !outcome.Resp.OK {
						t.Errorf("the other call: %+v, %v", outcome.Resp, err)
					}
				}
				total += len(raw)
				return nil
			}
			if outcome, err := i.Invoke(t.Context(), c); err != nil || !outcome.Resp.Streamed || total != 100*100000 {
				t.Errorf("%d bytes, %+v, %v", total, outcome.Resp, err)
			}
		}},
	}
}

// meetAll has five calls meet, of which the first then does something; the others stay a little longer.
func (s *suite) meetAll(t *testing.T, then string) (driver.Instance, []met) {
	t.Helper()
	const calls = 5
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	i := s.share(t, calls, nil)
	var begun []<-chan met
	for n := range calls {
		m := meeting{Calls: calls, Name: fmt.Sprint(n), Then: "linger"}
		if n == 0 {
			m.Then = then
		}
		begun = append(begun, meet(ctx, t, i, m))
	}
	var all []met
	for _, done := range begun {
		all = append(all, <-done)
	}
	return i, all
}
