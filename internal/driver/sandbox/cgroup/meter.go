//go:build linux

package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Meter measures one call after another in a group, with its files kept open. One call at a time; Close
// may come at any moment.
type Meter struct {
	peak    *os.File // nil = the kernel keeps none
	reset   []byte   // what resets it; nil = it can't be
	cpu     *os.File
	cpuV2   bool
	started time.Duration
}

// Reading is what a call took.
type Reading struct {
	Peak     int64 // bytes; 0 = unknown
	Instance bool  // the peak is the group's since it was made
	CPU      time.Duration
}

// Meter opens the group's meter.
func (g *Group) Meter() (*Meter, error) {
	m := &Meter{}
	if dir, v2, ok := g.dir(Memory); ok {
		name, reset := "memory.max_usage_in_bytes", []byte("0")
		if v2 {
			name, reset = "memory.peak", []byte("reset")
		}
		f, err := open(unix.O_RDWR, dir, name)
		switch {
		case err == nil:
			m.peak = f
			if _, err := f.WriteAt(reset, 0); err == nil { // v2: since Linux 6.12
				m.reset = reset
			}
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	if dir, v2, ok := g.dir(CPUAcct); ok {
		name := "cpuacct.usage"
		if v2 {
			name = "cpu.stat"
		}
		f, err := open(unix.O_RDONLY, dir, name)
		if err != nil {
			m.Close()
			return nil, err
		}
		m.cpu, m.cpuV2 = f, v2
	}
	return m, nil
}

// Begin starts a call.
func (m *Meter) Begin() {
	if m.reset != nil {
		if _, err := m.peak.WriteAt(m.reset, 0); err != nil {
			m.reset = nil // from now on the peak is the instance's, and End says so
		}
	}
	m.started = m.readCPU()
}

// End says what the call begun last took.
func (m *Meter) End() Reading {
	r := Reading{Instance: m.reset == nil}
	if m.peak != nil {
		if peak, err := readIntAt(m.peak); err == nil {
			r.Peak = peak
		}
	}
	r.CPU = max(0, m.readCPU()-m.started)
	return r
}

// readCPU is 0 when the group is gone.
func (m *Meter) readCPU() time.Duration {
	if m.cpu == nil {
		return 0
	}
	if !m.cpuV2 {
		ns, err := readIntAt(m.cpu)
		if err != nil {
			return 0
		}
		return time.Duration(ns)
	}
	var b [512]byte
	n, _ := m.cpu.ReadAt(b[:], 0)
	us, err := keyed(b[:n], "usage_usec")
	if err != nil {
		return 0
	}
	return time.Duration(us) * time.Microsecond
}

// Close lets go of the files.
func (m *Meter) Close() {
	if m.peak != nil {
		m.peak.Close()
	}
	if m.cpu != nil {
		m.cpu.Close()
	}
}
