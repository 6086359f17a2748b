//go:build linux

package agent

import (
	"io"
	"sync"
)

// stdout is what a process prints to stdout: its result, or once it has turned out to use the Runtime API, its log.
type stdout struct {
	log  io.Writer
	full func() // called once when there is more than bound

	mu       sync.Mutex
	bound    int64
	result   []byte
	size     int64 // of all that came
	isLog    bool
	overflow bool
}

func (s *stdout) take(p []byte) {
	s.mu.Lock()
	isLog, full := s.isLog, false
	if !isLog {
		s.size += int64(len(p))
		if s.bound > 0 && s.size > s.bound {
			full, s.overflow = !s.overflow, true
		} else {
			s.result = append(s.result, p...)
		}
	}
	s.mu.Unlock()
	if isLog {
		_, _ = s.log.Write(p) // the platform reads it, or is gone
	}
	if full {
		s.full()
	}
}

// becomeLog makes all of it, what has come before too, the log.
func (s *stdout) becomeLog() {
	s.mu.Lock()
	before := s.result
	s.result, s.isLog = nil, true
	s.mu.Unlock()
	_, _ = s.log.Write(before)
}

// content returns what came, how much that was, and whether it was over the bound.
func (s *stdout) content() (result []byte, size int64, overflow bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.result, s.size, s.overflow
}
