package pool

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"nimbus/internal/scheduler"
)

const (
	// statWindow is how long processor time is watched before something is said about it: the kernel counts
	// it in hundredths of a second.
	statWindow = 40 * time.Millisecond
	// statStale is how old a first count may be.
	statStale = 500 * time.Millisecond
	// idleShare is the part of the processors' time below which there is none to spare: a fifteenth.
	idleShare = 15
)

// ProcStat is a Machine that reads what Linux counts of its processors' time. It is used by one goroutine.
type ProcStat struct {
	path  string // /proc/stat
	first processorTime
	at    time.Time // of first; zero = there is none
	load  scheduler.Load
}

// processorTime is what all processors have spent since the machine started, in hundredths of a second.
type processorTime struct{ all, idle uint64 }

// NewProcStat returns a Machine that reads /proc/stat. Where it can't be read, there is always time to spare.
func NewProcStat() *ProcStat { return &ProcStat{path: "/proc/stat"} }

// Load implements Machine. It says how it has been since it was asked before, if that was just now.
func (s *ProcStat) Load(now time.Time) scheduler.Load {
	since := now.Sub(s.at)
	if !s.at.IsZero() && since < statWindow {
		return s.load
	}
	text, err := os.ReadFile(s.path)
	if err != nil {
		return scheduler.Spare
	}
	next, ok := parseProcessorTime(text)
	if !ok {
		return scheduler.Spare
	}
	s.load = scheduler.Spare
	if !s.at.IsZero() && since <= statStale {
		s.load = loadBetween(s.first, next)
	}
	s.first, s.at = next, now
	return s.load
}

// loadBetween judges what was spent between two counts.
func loadBetween(a, b processorTime) scheduler.Load {
	if b.all <= a.all || b.idle < a.idle || (b.idle-a.idle)*idleShare > b.all-a.all {
		return scheduler.Spare
	}
	return scheduler.Saturated
}

// parseProcessorTime reads the first line: "cpu", then user, nice, system, idle, iowait and others; guests are
// in user already.
func parseProcessorTime(text []byte) (processorTime, bool) {
	line, _, _ := bytes.Cut(text, []byte{'\n'})
	fields := bytes.Fields(line)
	const idle, wait, steal = 4, 5, 8
	if len(fields) <= steal || string(fields[0]) != "cpu" {
		return processorTime{}, false
	}
	var t processorTime
	for i, field := range fields[1 : steal+1] {
		n, err := strconv.ParseUint(string(field), 10, 64)
		if err != nil {
			return processorTime{}, false
		}
		t.all += n
		if at := i + 1; at == idle || at == wait {
			t.idle += n
		}
	}
	return t, true
}
