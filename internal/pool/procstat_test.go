package pool

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"nimbus/internal/scheduler"
)

func TestProcStatTellsWhetherThereIsTimeToSpare(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stat")
	s := &ProcStat{path: path}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var busy, idle int
	for i, step := range []struct {
		after      time.Duration
		busy, idle int
		want       scheduler.Load
	}{
		{0, 1000, 1000, scheduler.Spare},                       // nothing to compare with
		{50 * time.Millisecond, 10, 0, scheduler.Saturated},    // all of it was spent
		{10 * time.Millisecond, 0, 2, scheduler.Saturated},     // too soon to say something else
		{40 * time.Millisecond, 10, 8, scheduler.Spare},        // half was idle
		{100 * time.Millisecond, 20, 1, scheduler.Saturated},   // a twentieth was
		{time.Minute, 10_000, 0, scheduler.Spare},              // the last count is too old
		{100 * time.Millisecond, 20, 0, scheduler.Saturated},   // and now it is not
		{100 * time.Millisecond, -5000, -100, scheduler.Spare}, // counts that run backwards tell nothing
		{100 * time.Millisecond, 0, 0, scheduler.Spare},        // nor do those that stand still
	} {
		now, busy, idle = now.Add(step.after), busy+step.busy, idle+step.idle
		content := fmt.Sprintf("cpu  %d 0 %d %d %d 0 0 0 0 0\ncpu0 1 2 3\n", busy/2, busy-busy/2, idle/2, idle-idle/2)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := s.Load(now); got != step.want {
			t.Errorf("step %d: load %d, want %d", i, got, step.want)
		}
	}
}

func TestProcStatThatCannotBeRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stat")
	for _, content := range []string{"", "cpu", "cpu a b c d e f g h\n", "intr 1 2 3 4 5 6 7 8\n", "cpu 1 2 3\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		s := &ProcStat{path: path}
		now := time.Now()
		for range 3 {
			if got := s.Load(now); got != scheduler.Spare {
				t.Errorf("%q is a load", content)
			}
			now = now.Add(statWindow)
		}
	}
	if got := (&ProcStat{path: path + "-none"}).Load(time.Now()); got != scheduler.Spare {
		t.Error("a file that is not there is a load")
	}
}

func FuzzParseProcessorTime(f *testing.F) {
	f.Add([]byte("cpu  619175 200073 347580 1327589 7200 0 6576 859 0 0\n"))
	f.Add([]byte("cpu -1 18446744073709551615 0 0 0 0 0 0"))
	f.Fuzz(func(t *testing.T, text []byte) {
		spent, ok := parseProcessorTime(text)
		if !ok && spent != (processorTime{}) {
			t.Errorf("%q is none, and yet %+v", text, spent)
		}
		if loadBetween(spent, spent) != scheduler.Spare {
			t.Errorf("no time at all has kept the machine busy: %+v", spent)
		}
	})
}
