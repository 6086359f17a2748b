//go:build linux

package agent

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	crashMax = 64 << 10               // bytes of a crash's report that are looked at
	tailMax  = 4 << 10                // and of the last lines
	holdFor  = 200 * time.Millisecond // a crashing program ends within a few milliseconds
)

// crashes are how Go's runtime begins its last words; the signals are those of C code, or sent.
func crashes() []string {
	return []string{"panic: ", "fatal error: ", "SIGSEGV: ", "SIGBUS: ", "SIGFPE: ", "SIGILL: ", "SIGABRT: ", "SIGSYS: ", "SIGQUIT: "}
}

// stderr is what a process prints to stderr. It goes to the log as it comes, except for what looks like the
// report of a crash: that is held back until the process has ended, for if it is one it goes into the answer,
// which the platform logs.
type stderr struct {
	log io.Writer

	mu      sync.Mutex
	tail    []byte // the end of all that came
	crash   []byte // the report, from its first line on
	held    int    // how much of the crash's end is not in the log
	timer   *time.Timer
	midLine bool
}

func (s *stderr) take(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lineStart := 0
	if s.midLine {
		if lineStart = bytes.IndexByte(p, '\n') + 1; lineStart == 0 {
			lineStart = len(p)
		}
	}
	s.midLine = p[len(p)-1] != '\n'
	s.tail = append(s.tail, p...)
	if len(s.tail) > 2*tailMax {
		s.tail = append(s.tail[:0], s.tail[len(s.tail)-tailMax:]...)
	}
	if s.held == 0 {
		if at := findCrash(p, lineStart); at >= 0 {
			s.write(p[:at])
			s.crash, p = s.crash[:0], p[at:]
			s.hold()
		} else {
			s.write(p)
			if room := crashMax - len(s.crash); len(s.crash) > 0 && room > 0 {
				s.crash = append(s.crash, p[:min(room, len(p))]...)
			}
			return
		}
	}
	s.crash = append(s.crash, p...)
	s.held += len(p)
	if s.held > crashMax {
		s.release()
	}
}

// findCrash returns where a line begins that a crash's report begins with, or -1. The first line is at start.
func findCrash(p []byte, start int) int {
	for start < len(p) {
		for _, prefix := range crashes() {
			if bytes.HasPrefix(p[start:], []byte(prefix)) {
				return start
			}
		}
		newline := bytes.IndexByte(p[start:], '\n')
		if newline < 0 {
			break
		}
		start += newline + 1
	}
	return -1
}

func (s *stderr) hold() {
	if s.timer == nil {
		s.timer = time.AfterFunc(holdFor, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.release()
		})
		return
	}
	s.timer.Reset(holdFor)
}

// release lets what is held back into the log.
func (s *stderr) release() {
	if s.held > 0 {
		s.write(s.crash[len(s.crash)-s.held:])
		s.held = 0
	}
	if s.timer != nil {
		s.timer.Stop()
	}
}

func (s *stderr) write(p []byte) {
	if len(p) > 0 {
		_, _ = s.log.Write(p) // the platform reads it, or is gone
	}
}

// last returns the last line that is not blank.
func (s *stderr) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := strings.TrimSpace(strings.ToValidUTF8(string(s.tail), "\uFFFD"))
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}

// report returns how the process crashed, by its own words, "" if it said nothing of the kind. They stay out of
// the log, if they still can.
func (s *stderr) report() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = 0
	s.release()
	return strings.ToValidUTF8(string(s.crash[:min(len(s.crash), crashMax)]), "\uFFFD")
}

// flush lets everything into the log.
func (s *stderr) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release()
}
