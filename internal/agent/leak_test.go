//go:build linux

package agent_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"nimbus/internal/testenv"
)

// TestNothingIsLeftOver counts the agent's descriptors, and its processes, after a few calls and after many.
func TestNothingIsLeftOver(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		start  func(t *testing.T) *instance
		events []string
	}{
		"stdin": {func(t *testing.T) *instance { return onStdin(t, nil) }, []string{
			`1`, do(t, "exit", "", 3), do(t, "panic", "boom", 0), do(t, "large", "", 2*maxResponse), do(t, "child", "", 0),
		}},
		"runtime API": {func(t *testing.T) *instance { return onLambda(t, "go", nil) }, []string{
			do(t, "count", "", 0), do(t, "error", "no", 0), do(t, "panic", "boom", 0), do(t, "exit", "", 3), do(t, "stream", "", 1000),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := tt.start(t)
			around := func(times int) {
				for range times {
					for _, event := range tt.events {
						i.exec(t, event)
					}
				}
				i.exec(t, tt.events[0])
			}
			around(2)
			files := func() int {
				open, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(i.cmd.Process.Pid), "fd"))
				if err != nil {
					t.Fatal(err)
				}
				return len(open)
			}
			// The next process is started after the answer.
			testenv.Eventually(t, patience, func() bool { return len(i.children(t)) == 1 })
			before := files()
			around(10)
			// A connection may be about to be closed.
			testenv.Eventually(t, patience, func() bool { return files() <= before+1 && len(i.children(t)) <= 1 })
		})
	}
}
