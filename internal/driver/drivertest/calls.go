package drivertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/wire"
)

// callCases are about calls of an instance that is up.
func callCases() []testCase {
	return []testCase{
		{"an exception is an outcome", "raises", func(t *testing.T, s *suite) {
			i := s.claim(t, "raises")
			for range 2 {
				outcome, err := invoke(t, i, nil)
				if err != nil {
					t.Fatal(err)
				}
				if r := outcome.Resp; r.OK || r.Type != s.Failure || r.Message != "not today" {
					t.Errorf("outcome %+v", r)
				}
			}
		}},
		{"6 MB there and back", "echo", func(t *testing.T, s *suite) {
			i := s.claim(t, "echo")
			text := strings.Repeat("0123456789abcdef", int(6*nimbus.MiB/16)-1)
			if got := call[string](t, i, text); got != text {
				t.Errorf("%d bytes came back of %d", len(got), len(text))
			}
		}},
		{"output comes before the result", "say", func(t *testing.T, s *suite) {
			var out transcript
			i := s.claimWith(t, s.codeOf("say"), &out)
			var want strings.Builder
			for n := range 500 {
				fmt.Fprintf(&want, "line %d\n", n)
			}
			for range 20 {
				before := len(out.of(driver.Stdout))
				call[string](t, i, 500)
				if got := out.of(driver.Stdout)[before:]; got != want.String() {
					t.Fatalf("%d bytes of output when the result came, want %d", len(got), want.Len())
				}
			}
			if got := out.of(driver.Stderr); got != strings.Repeat("raw to stderr\n", 20) {
				t.Errorf("stderr %q", got)
			}
		}},
		{"a stream", "stream", func(t *testing.T, s *suite) {
			i := s.claim(t, "stream")
			c := newCall([]byte(`{"items": 100, "size": 100000}`)) // several windows of credit
			c.Meta.Stream = true
			var got []int
			c.Chunk = func(kind string, raw []byte) error {
				if kind == wire.KindJSON || len(bytes.Trim(raw, "x")) > 0 {
					return fmt.Errorf("chunk %s of %d bytes", kind, len(raw))
				}
				got = append(got, len(raw))
				return nil
			}
			outcome, err := i.Invoke(t.Context(), c)
			if err != nil || !outcome.Resp.OK || !outcome.Resp.Streamed {
				t.Errorf("%+v, %v", outcome.Resp, err)
			}
			total, whole := 0, len(got) == 100
			for _, n := range got {
				total, whole = total+n, whole && n == 100000
			}
			if total != 100*100000 || s.Items && !whole {
				t.Errorf("%d bytes in %d chunks", total, len(got))
			}
		}},
		{"a stream that nobody reads on", "stream", func(t *testing.T, s *suite) {
			i := s.claim(t, "stream")
			c := newCall([]byte(`{"items": 100, "size": 100000}`))
			c.Meta.Stream = true
			enough := errors.New("enough")
			c.Chunk = func(string, []byte) error { return enough }
			if _, err := i.Invoke(t.Context(), c); !errors.Is(err, enough) {
				t.Errorf("error %v", err)
			}
			stopped(t, i)
		}},
		{"a stream whose reader hangs up", "stream", func(t *testing.T, s *suite) {
			i := s.claim(t, "stream")
			c := newCall([]byte(`{"items": 100, "size": 1000}`))
			c.Meta.Stream = true
			// The same error as that of a runtime that is gone, and yet the event was handed over.
			gone := fmt.Errorf("write to the caller: %w", syscall.EPIPE)
			c.Chunk = func(string, []byte) error { return gone }
			if _, err := i.Invoke(t.Context(), c); !errors.Is(err, gone) || errors.Is(err, driver.ErrNotSent) {
				t.Errorf("error %v", err)
			}
			if outcome, err := invoke(t, i, map[string]int{"items": 1, "size": 1}); err != nil || !outcome.Resp.OK {
				t.Errorf("the next call: %+v, %v", outcome.Resp, err)
			}
		}},
		{"ping", "echo", func(t *testing.T, s *suite) {
			i := s.claim(t, "echo")
			for range 3 {
				if err := i.Ping(t.Context()); err != nil {
					t.Fatal(err)
				}
				call[any](t, i, 1)
			}
		}},
		{"a call after a cancelled one is refused or right", "echo", func(t *testing.T, s *suite) {
			i := s.claim(t, "echo")
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := i.Invoke(ctx, newCall([]byte("1"))); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		}},
		{"memory and processor time are measured", "allocate", func(t *testing.T, s *suite) {
			i := s.claim(t, "allocate")
			outcome, err := invoke(t, i, 50*nimbus.MiB)
			if err != nil || !outcome.Resp.OK {
				t.Fatalf("%+v, %v", outcome.Resp, err)
			}
			if m := outcome.Memory; m.Peak < 50*nimbus.MiB || m.Peak > 128*nimbus.MiB {
				t.Errorf("peak %+v", m)
			}
			if outcome.CPU <= 0 {
				t.Errorf("cpu %s", outcome.CPU)
			}
			if outcome, err = invoke(t, i, 1); err != nil {
				t.Fatal(err)
			}
			if m := outcome.Memory; !m.Instance && s.Frees && m.Peak > 40*nimbus.MiB {
				t.Errorf("the peak %+v of a small call is that of the one before", m)
			}
			stats, err := i.Stats(t.Context())
			if err != nil || stats.Memory <= 0 || stats.CPU <= 0 || stats.PIDs < s.Processes {
				t.Errorf("stats %+v, %v", stats, err)
			}
		}},
		{"the standard library works", "library", func(t *testing.T, s *suite) {
			want := map[string]any{
				"thread_pool": 328350.0, "event_loop": "hi", "shell": "42", "child_process": true, "spawned_process": 0.0,
				"shared": 7.0, "database": 45.0, "loopback": "hello", "alarm": 1.0, "files": 5000.0, "zone": "Europe/Berlin",
				"certificates": true, "hash": "e3b0c442", "selector": "EpollSelector", "libc": true, "platform": "Linux",
				"encoding": "UTF-8", "stdout_file": 10.0, "user": "/tmp", "exit": true,
			}
			got := call[map[string]attempt](t, s.claim(t, "library"), nil)
			for name, a := range got {
				if a.Error != "" || a.Value != want[name] {
					t.Errorf("%s: %v %s %s, want %v", name, a.Value, a.Error, a.Text, want[name])
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d parts, want %d", len(got), len(want))
			}
		}},
		{"a function starts programs", "shell", func(t *testing.T, s *suite) {
			i := s.claim(t, "shell")
			for range 3 {
				if got := call[string](t, i, "echo $((6*7)) | cat"); got != "42\n" {
					t.Errorf("the shell said %q", got)
				}
			}
		}},
		{"what Node offers works", "runtime", func(t *testing.T, s *suite) {
			want := map[string]any{"loopback": "hello", "thread": 42.0, "wasm": 42.0, "gzip": "text", "hash": "e3b0c442", "file": "x",
				"asynchronous": "nimbus", "compiled": 1e6}
			if got := call[map[string]any](t, s.claim(t, "runtime"), nil); !maps.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		}},
		{"pause and resume", "tick", func(t *testing.T, s *suite) {
			i := s.claim(t, "tick")
			pauser, ok := i.(driver.Pauser)
			if !ok {
				t.Skip("this driver freezes nothing")
			}
			call[int](t, i, "start")
			for range 3 {
				if err := pauser.Pause(t.Context()); err != nil {
					t.Fatal(err)
				}
				before, err := i.Stats(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				after, err := i.Stats(t.Context())
				if err != nil || after.CPU != before.CPU {
					t.Errorf("a paused instance used %s, %v", after.CPU-before.CPU, err)
				}
				if err := pauser.Resume(t.Context()); err != nil {
					t.Fatal(err)
				}
				call[int](t, i, "read")
			}
			if err := pauser.Pause(t.Context()); err != nil {
				t.Fatal(err)
			}
			stopped(t, i) // a frozen one ends too
		}},
	}
}
