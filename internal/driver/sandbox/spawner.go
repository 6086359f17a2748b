//go:build linux && (amd64 || arm64)

package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// uidRange is how many user ids a zygote's namespace maps.
const uidRange = 1 << 16

// spawner starts zygotes from one thread that lives as long as they do: the kernel sends the parent-death
// signal when the thread that forked ends, not the process.
type spawner struct {
	jobs chan func()
	quit chan struct{}
	done chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{jobs: make(chan func()), quit: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s
}

func (s *spawner) run() {
	defer close(s.done)
	runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
	for {
		select {
		case job := <-s.jobs:
			job()
		case <-s.quit:
			return
		}
	}
}

// stop ends the thread; every process it started must have been waited for.
func (s *spawner) stop() {
	close(s.quit)
	<-s.done
}

// mode is what an init process is for.
type mode string

const (
	modeZygote mode = "zygote"
	modeProbe  mode = "probe" // build the root and say so
)

// start runs this binary as an init in namespaces of its own, with descriptors from 3 on.
func (s *spawner) start(m mode, uidBase uint32, output *os.File, fds []*os.File) (*exec.Cmd, error) {
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(uidBase), Size: uidRange}}
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{initName, string(m)}, Env: []string{}, Dir: "/",
		Stdout: output, Stderr: output, ExtraFiles: fds,
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET |
				unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
			UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true,
			// Without it the process would lose its capabilities when it executes the init.
			Credential: &syscall.Credential{},
			Pdeathsig:  unix.SIGKILL,
			Setsid:     true, // a Ctrl-C at the server's terminal is not for them
		},
	}
	result := make(chan error, 1)
	select {
	case s.jobs <- func() { result <- cmd.Start() }:
	case <-s.done:
		return nil, errors.New("the spawner has stopped")
	}
	if err := <-result; err != nil {
		return nil, err
	}
	return cmd, nil
}
