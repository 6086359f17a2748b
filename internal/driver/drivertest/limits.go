package drivertest

import (
	"strconv"
	"strings"
	"testing"

	"nimbus"
	"nimbus/internal/testenv"
)

// limitCases are about what an instance may use.
func limitCases() []testCase {
	return []testCase{
		{"memory", "hog", func(t *testing.T, s *suite) {
			i := s.claim(t, "hog")
			_, err := invoke(t, i, nil)
			if exit := exitOf(t, err); !exit.OutOfMemory {
				t.Errorf("exit %+v", exit)
			}
			if exit := awaitDone(t, i); !exit.OutOfMemory || !strings.Contains(exit.String(), "memory") {
				t.Errorf("exit %+v", exit)
			}
		}},
		{"memory that grows between calls", "grow", func(t *testing.T, s *suite) {
			i := s.claim(t, "grow")
			call[string](t, i, nil)
			limit := s.resources().Memory
			ended := false
			testenv.Eventually(t, patience, func() bool {
				stats, err := i.Stats(t.Context())
				ended = err != nil
				return ended || stats.MemoryPeak >= limit
			})
			// The kernel took the process that grew. Where the instance is more than that process, a call finds out.
			if !ended {
				if _, err := invoke(t, i, nil); err == nil {
					return
				}
			}
			if exit := awaitDone(t, i); !exit.OutOfMemory {
				t.Errorf("exit %+v", exit)
			}
		}},
		{"memory of a child", "hog_in_child", func(t *testing.T, s *suite) {
			i := s.claim(t, "hog_in_child")
			if outcome, err := invoke(t, i, nil); err == nil {
				if string(outcome.Result) == "0" {
					t.Error("a child had more memory than its instance")
				}
			} else if exit := exitOf(t, err); !exit.OutOfMemory {
				t.Errorf("exit %+v", exit)
			}
		}},
		{"memory of socket buffers", "hoard", func(t *testing.T, s *suite) {
			const sent = 400 * nimbus.MiB
			outcome, err := invoke(t, s.claim(t, "hoard"), sent)
			if err != nil {
				if exit := exitOf(t, err); !exit.OutOfMemory {
					t.Errorf("exit %+v", exit)
				}
				return
			}
			kept, err := strconv.ParseInt(string(outcome.Result), 10, 64)
			if err != nil || kept == 0 || kept > s.resources().Memory {
				t.Errorf("%s bytes wait in sockets, %v: %s", outcome.Result, err, outcome.Resp.Message)
			}
		}},
		{"what the machine's root has so much of", "deplete", func(t *testing.T, s *suite) {
			for what, n := range call[map[string]int](t, s.claim(t, "deplete"), nil) {
				if limit := map[string]int{"signals": 1000}[what]; n > limit {
					t.Errorf("%d of %s, want no more than %d", n, what, limit)
				}
			}
		}},
		{"a claim changes the memory", "allocate", func(t *testing.T, s *suite) {
			code := s.codeOf("allocate")
			code.Resources.Memory, code.Init.MemoryMB = 512*nimbus.MiB, 512
			i := s.claimWith(t, code, nil)
			if n := call[int64](t, i, 400*nimbus.MiB); n != 400*nimbus.MiB {
				t.Errorf("allocated %d", n)
			}
			outcome, err := invoke(t, i, 600*nimbus.MiB)
			if err == nil && !outcome.Resp.OK {
				return // the runtime holds the limit before the kernel does
			}
			if exit := exitOf(t, err); !exit.OutOfMemory {
				t.Errorf("exit %+v", exit)
			}
		}},
		{"processes", "breed", func(t *testing.T, s *suite) {
			got := call[struct {
				Started int    `json:"started"`
				Error   string `json:"error"`
			}](t, s.claim(t, "breed"), 200)
			if got.Started >= 64 || got.Started < 30 || got.Error == "" {
				t.Errorf("%+v", got)
			}
		}},
		{"tmp", "write", func(t *testing.T, s *suite) {
			i := s.claim(t, "write")
			if a := call[attempt](t, i, map[string]any{"path": "/tmp/fits", "bytes": 15 * nimbus.MiB}); a.Error != "" {
				t.Errorf("15 MB do not fit: %s", a.Text)
			}
			if a := call[attempt](t, i, map[string]any{"path": "/tmp/more", "bytes": 2 * nimbus.MiB}); !strings.Contains(strings.ToLower(a.Text), "no space left") {
				t.Errorf("17 MB fit: %+v", a)
			}
		}},
	}
}
