package drivertest

import (
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"testing"

	"nimbus/internal/driver"
)

// startCases are about what happens, or must not, on the way from a blank to a function.
func startCases() []testCase {
	return []testCase{
		{"init errors are the user's", "", func(t *testing.T, s *suite) {
			for function, want := range s.Broken {
				i := s.blank(t, nil)
				var init *driver.InitError
				if _, err := i.Specialize(t.Context(), s.codeOf(function)); !errors.As(err, &init) {
					t.Errorf("%s: error %v, want an InitError", function, err)
				} else if init.Type != want {
					t.Errorf("%s: type %s, want %s", function, init.Type, want)
				}
				stopped(t, i)
			}
		}},
		{"settings of a process's start", "facts", func(t *testing.T, s *suite) {
			spec, code := s.spec("settings", nil), s.codeOf("facts")
			code.Init.Env = settings(s)
			spec.Code = &code
			i, err := s.driver.Start(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			defer stopped(t, i)
			inEffect(t, s, i)
		}},
		{"settings that come late are in effect, or refused", "facts", func(t *testing.T, s *suite) {
			code := s.codeOf("facts")
			code.Init.Env = settings(s)
			i := s.blank(t, nil)
			_, err := i.Specialize(t.Context(), code)
			switch {
			case err == nil:
				inEffect(t, s, i)
			case !errors.Is(err, driver.ErrFreshProcess):
				t.Errorf("error %v", err)
			}
		}},
		{"a blank is claimed by one", "echo", func(t *testing.T, s *suite) {
			i := s.blank(t, nil)
			var won atomic.Int64
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() {
					if _, err := i.Specialize(t.Context(), s.codeOf("echo")); err == nil {
						won.Add(1)
					}
				})
			}
			group.Wait()
			if won.Load() != 1 {
				t.Errorf("%d claims succeeded", won.Load())
			}
			call[int](t, i, 1)
		}},
		{"a blank is nobody's", "facts", func(t *testing.T, s *suite) {
			code := s.codeOf("facts")
			code.Init.Env = map[string]string{"SECRET": "value"}
			if env := call[facts](t, s.claimWith(t, code, nil), nil).Environment; env["SECRET"] != "value" {
				t.Errorf("environment %v", env)
			}
			if f := call[facts](t, s.claim(t, "facts"), nil); f.Environment["SECRET"] != "" || f.Started["SECRET"] != "" {
				t.Error("the next instance has the environment of the one before")
			}
		}},
	}
}

// settings are those of the suite, and one that acts at any time.
func settings(s *suite) map[string]string {
	env := map[string]string{"PLAIN": "text with spaces = and é"}
	maps.Copy(env, s.Settings)
	return env
}

// inEffect checks that the process of the handler was started with the settings, and sees them.
func inEffect(t *testing.T, s *suite, i driver.Instance) {
	t.Helper()
	f := call[facts](t, i, nil)
	for name, value := range settings(s) {
		if f.Environment[name] != value {
			t.Errorf("%s is %q in the environment, want %q", name, f.Environment[name], value)
		}
	}
	for name, value := range s.Settings {
		if f.Started[name] != value {
			t.Errorf("%s was %q when the process started, want %q", name, f.Started[name], value)
		}
	}
}
