//go:build linux && (amd64 || arm64)

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"nimbus/internal/driver"
	"nimbus/internal/driver/sandbox/cgroup"
	"nimbus/internal/wire"
)

const (
	exitGrace   = 2 * time.Second  // for the exit report once the socket has ended
	drainGrace  = 2 * time.Second  // for the pipes to end once the process has
	removeGrace = 10 * time.Second // for the kernel to let go of a cgroup

	// killedCode is what PID 1 ends with when the kernel killed the process it ran for the function: it can't send
	// itself the signal.
	killedCode = 128 + int(unix.SIGKILL)
)

// instance is a process tree in namespaces of its own. Its life has one order: forked (or not) → ended →
// done; what it owns is released between the last two.
type instance struct {
	id     string
	driver *Driver
	zygote *zygote // with seq and uid: set by its fork
	seq    uint64
	uid    uint32

	settings map[string]string // in effect since the process started: runtime.StartSettings

	group  *cgroup.Group
	meter  *cgroup.Meter
	socket *net.UnixConn
	conn   *wire.Conn
	mux    atomic.Pointer[wire.Mux] // in conn's place once the instance takes several calls at once
	output *output

	born      chan struct{} // closed by forked
	exitKnown chan struct{} // closed when the exit status is known and everything printed handed on
	done      chan struct{}
	stop      chan struct{} // closed by the first Stop

	busy     sync.Mutex // held by a call on conn
	freezing sync.Mutex // held while the cgroup is frozen or thawed

	mu        sync.Mutex
	pidfd     int // -1 before the fork and after the end
	stopping  bool
	claimed   bool             // given code, once
	resources driver.Resources // in force
	failure   error            // why it ended, when that was not its own doing
	exit      driver.Exit
}

// ID returns the name it was started with.
func (i *instance) ID() string { return i.id }

// Done is closed when nothing of the instance is left.
func (i *instance) Done() <-chan struct{} { return i.done }

// Exit says how it ended.
func (i *instance) Exit() driver.Exit {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.exit
}

// forked takes the process. A Stop that came first is carried out now.
func (i *instance) forked(pidfd int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pidfd = pidfd
	close(i.born)
	if i.stopping {
		i.killLocked()
	}
}

// ended notes how the process ended and releases what it had in the background. It is called once.
func (i *instance) ended(failure error, status unix.WaitStatus) {
	i.mu.Lock()
	i.failure = failure
	i.exit = driver.Exit{Code: -1, Stopped: i.stopping}
	switch {
	case failure != nil && !errors.Is(failure, errZygoteGone):
	case status.Signaled():
		i.exit.Signal = int(status.Signal())
	case status.Exited():
		i.exit.Code = status.ExitStatus()
	}
	i.mu.Unlock()
	i.driver.cleanups.Go(i.release)
}

// release gives back all the instance had, then closes done.
func (i *instance) release() {
	// Nobody holds the other ends any more, so this is what was printed to the last.
	i.output.wait(drainGrace)
	if kills, err := i.group.OOMKills(); err != nil {
		i.driver.log.Warn("read out-of-memory kills", "instance_id", i.id, "error", err)
	} else if kills > 0 {
		i.mu.Lock()
		i.exit.OutOfMemory = !i.exit.Stopped && (i.exit.Signal == int(unix.SIGKILL) || i.exit.Code == killedCode)
		i.mu.Unlock()
	}
	close(i.exitKnown)
	i.meter.Close()
	i.driver.groups.remove(i.group)
	// A call may still be reading what the instance answered before it ended.
	finished := make(chan struct{})
	i.driver.cleanups.Go(func() {
		i.awaitCalls()
		close(finished)
	})
	select {
	case <-finished:
	case <-i.stop:
	}
	i.disconnect()
	<-finished
	i.mu.Lock()
	if i.pidfd >= 0 {
		unix.Close(i.pidfd)
		i.pidfd = -1
	}
	i.mu.Unlock()
	i.zygote.release(i)
	close(i.done)
}

// Stop kills the instance and waits until nothing of it is left.
func (i *instance) Stop(ctx context.Context) error {
	i.mu.Lock()
	first := !i.stopping
	if first {
		i.stopping = true
		close(i.stop)
		i.killLocked()
	}
	i.mu.Unlock()
	if first {
		i.thawToDie()
	}
	select {
	case <-i.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop instance %s: %w", i.id, ctx.Err())
	}
}

// killLocked ends PID 1 of the instance's PID namespace, and so all in it. i.mu is held.
func (i *instance) killLocked() {
	if i.pidfd < 0 {
		return
	}
	err := unix.PidfdSendSignal(i.pidfd, unix.SIGKILL, nil, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		i.driver.log.Error("kill instance", "instance_id", i.id, "error", err)
	}
}

// thawToDie lets the signal reach a frozen instance: a v1 freezer holds even SIGKILL back. No Pause comes
// after it.
func (i *instance) thawToDie() {
	i.freezing.Lock()
	defer i.freezing.Unlock()
	if err := i.group.Thaw(); err != nil {
		// The group is gone already, or there is no freezer and nothing was frozen.
		i.driver.log.Debug("thaw instance", "instance_id", i.id, "error", err)
	}
}

// isStopping reports whether Stop has been called.
func (i *instance) isStopping() bool {
	select {
	case <-i.stop:
		return true
	default:
		return false
	}
}

// exitError waits a little for the exit report and says how the instance ended.
func (i *instance) exitError(ctx context.Context) error {
	timer := time.NewTimer(exitGrace)
	defer timer.Stop()
	select {
	case <-i.exitKnown:
		return &driver.ExitError{Exit: i.Exit()}
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return &driver.ExitError{Exit: driver.Exit{Code: -1}}
	}
}

// translate turns an error of conn into one of the contract.
func (i *instance) translate(ctx context.Context, err error) error {
	if errors.Is(err, wire.ErrEnded) {
		return i.exitError(ctx)
	}
	return err
}

// hasEnded reports whether the process is known to be gone.
func (i *instance) hasEnded() bool {
	select {
	case <-i.exitKnown:
		return true
	default:
		return false
	}
}
