package drivertest

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"testing"
)

// lifeCases are about how instances come to be.
func lifeCases() []testCase {
	return []testCase{
		{"a blank becomes a function", "echo", func(t *testing.T, s *suite) {
			i := s.blank(t, nil)
			if err := i.Ping(t.Context()); err != nil {
				t.Errorf("ping of a blank: %v", err)
			}
			took, err := i.Specialize(t.Context(), s.codeOf("echo"))
			if err != nil {
				t.Fatal(err)
			}
			if took.Attach <= 0 || took.Init <= 0 {
				t.Errorf("specialize took %+v", took)
			}
			for _, event := range []string{`{"name":"Ada"}`, `null`, `[1,2.5,"é\u0000😀"]`} {
				outcome, err := i.Invoke(t.Context(), newCall([]byte(event)))
				if err != nil || !outcome.Resp.OK {
					t.Fatalf("invoke: %+v, %v", outcome.Resp, err)
				}
				if !sameJSON(t, outcome.Result, []byte(event)) {
					t.Errorf("echo of %s is %s", event, outcome.Result)
				}
			}
		}},
		{"start with code", "count", func(t *testing.T, s *suite) {
			spec := s.spec("with-code", nil)
			code := s.codeOf("count")
			spec.Code = &code
			i, err := s.driver.Start(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			defer stopped(t, i)
			if i.ID() != "with-code" {
				t.Errorf("id %q", i.ID())
			}
			for want := 1; want <= 3; want++ {
				if n := call[int](t, i, nil); n != want {
					t.Errorf("call %d counted %d: state must live as long as the instance", want, n)
				}
			}
		}},
		{"an instance is given code once", "echo", func(t *testing.T, s *suite) {
			i := s.claim(t, "echo")
			if _, err := i.Specialize(t.Context(), s.codeOf("echo")); err == nil {
				t.Error("a second Specialize: no error")
			}
		}},
		{"start gives up with its context", "", func(t *testing.T, s *suite) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := s.driver.Start(ctx, s.spec("cancelled", nil)); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		}},
		{"siblings differ in what must be random", "random_bytes", func(t *testing.T, s *suite) {
			a := call[[]any](t, s.claim(t, "random_bytes"), nil)
			b := call[[]any](t, s.claim(t, "random_bytes"), nil)
			for n := range a {
				if a[n] == b[n] {
					t.Errorf("value %d is %v in both", n, a[n])
				}
			}
		}},
	}
}

func (s *suite) hundredStarts(t *testing.T) {
	var group sync.WaitGroup
	for n := range 100 {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			i, err := s.driver.Start(ctx, s.spec("hundred-"+strconv.Itoa(n), nil))
			if err != nil {
				t.Errorf("start %d: %v", n, err)
				return
			}
			defer stopped(t, i)
			if _, err := i.Specialize(ctx, s.codeOf("echo")); err != nil {
				t.Errorf("specialize %d: %v", n, err)
				return
			}
			event := []byte(strconv.Itoa(n))
			outcome, err := i.Invoke(ctx, newCall(event))
			if err != nil || string(outcome.Result) != string(event) {
				t.Errorf("invoke %d: %s, %v", n, outcome.Result, err)
			}
		})
	}
	group.Wait()
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
		t.Fatal(err)
	}
	p, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	q, err := json.Marshal(y)
	if err != nil {
		t.Fatal(err)
	}
	return string(p) == string(q)
}
