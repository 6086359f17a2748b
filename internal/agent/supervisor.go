//go:build linux

package agent

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// supervisor starts processes and collects all that end, those too that their parents left behind: as PID 1
// the agent inherits them.
type supervisor struct {
	ended  chan os.Signal
	closed chan struct{}

	mu   sync.Mutex // held from a fork until the child is known, so that its end finds it
	live map[int]*process
	over bool
}

// process is one that was started, leader of a group of its own.
type process struct {
	pid    int
	killed atomic.Bool // by the agent
	done   chan struct{}
	status syscall.WaitStatus // once done is closed; nothing of its group is left then
}

func newSupervisor() *supervisor {
	s := &supervisor{ended: make(chan os.Signal, 1), closed: make(chan struct{}), live: make(map[int]*process)}
	signal.Notify(s.ended, syscall.SIGCHLD)
	return s
}

// run collects until stop.
func (s *supervisor) run() {
	defer signal.Stop(s.ended)
	for {
		select {
		case <-s.ended:
			s.collect()
		case <-s.closed:
			s.collect()
			return
		}
	}
}

// collect takes in every process that has ended.
func (s *supervisor) collect() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		s.mu.Lock()
		p := s.live[pid]
		delete(s.live, pid)
		s.mu.Unlock()
		if p == nil {
			continue
		}
		_ = syscall.Kill(-pid, syscall.SIGKILL) // what it left behind in its group
		p.status = status
		close(p.done)
	}
}

// start executes a program. Its descriptors are files, in order.
func (s *supervisor) start(path string, argv, env []string, dir string, files ...*os.File) (*process, error) {
	attr := &syscall.ProcAttr{Dir: dir, Env: env, Sys: &syscall.SysProcAttr{Setpgid: true}}
	for _, f := range files {
		attr.Files = append(attr.Files, f.Fd()) // which makes it one that blocks, as programs expect
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil, os.ErrClosed
	}
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return nil, fmt.Errorf("execute %s: %w", path, err)
	}
	p := &process{pid: pid, done: make(chan struct{})}
	s.live[pid] = p
	return p, nil
}

// kill ends a process and its group.
func (s *supervisor) kill(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live[p.pid] == p { // else the pid may be another's
		p.killed.Store(true)
		_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	}
}

// sweep ends every process but the agent: also those that left their group. Only PID 1 can.
func (s *supervisor) sweep() {
	if os.Getpid() == 1 {
		_ = syscall.Kill(-1, syscall.SIGKILL)
	}
}

// stop kills what is left and makes run return.
func (s *supervisor) stop() {
	s.mu.Lock()
	s.over = true
	for pid, p := range s.live {
		p.killed.Store(true)
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
	s.mu.Unlock()
	s.sweep()
	close(s.closed)
}

// end says how a process ended, in words.
func (p *process) end() string {
	if p.status.Signaled() {
		return fmt.Sprintf("killed by signal %d (%s)", p.status.Signal(), unix.SignalName(p.status.Signal()))
	}
	return fmt.Sprintf("exit status %d", p.status.ExitStatus())
}

// taken reports whether a signal that nobody here sent killed it; the kernel does so when memory is short.
func (p *process) taken() bool {
	return p.status.Signaled() && p.status.Signal() == syscall.SIGKILL && !p.killed.Load()
}
