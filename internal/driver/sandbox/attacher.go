//go:build linux && (amd64 || arm64)

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// attacher is a thread that goes into instances' mount namespaces on the server's behalf. It has a root and
// working directory of its own, which entering changes.
type attacher struct {
	jobs chan *attachJob
	quit chan struct{}
	done chan struct{}
}

type attachJob struct {
	pidfd  int
	tree   int   // what to mount at codeDir
	tmp    int64 // the new size of /tmp; 0 = as it is
	result chan error
}

func newAttacher() *attacher {
	a := &attacher{jobs: make(chan *attachJob), quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(a.done)
		// A thread that can't find its way home is given up, and the next takes its place.
		for again := true; again; {
			finished := make(chan bool)
			go func() { finished <- a.run() }()
			again = <-finished
		}
	}()
	return a
}

func (a *attacher) stop() {
	close(a.quit)
	<-a.done
}

// attach mounts the tree in the namespaces of the process.
func (a *attacher) attach(ctx context.Context, pidfd, tree int, tmp int64) error {
	job := &attachJob{pidfd: pidfd, tree: tree, tmp: tmp, result: make(chan error, 1)}
	select {
	case a.jobs <- job:
		return <-job.result // takes no longer than a few system calls
	case <-ctx.Done():
		return ctx.Err()
	case <-a.done:
		return errors.New("attach code: the driver has stopped")
	}
}

// run works until it is told to quit, or reports that another thread must go on. Its thread ends with it.
func (a *attacher) run() (again bool) {
	runtime.LockOSThread()
	home, err := openHome()
	if err == nil {
		defer unix.Close(home)
	}
	for {
		select {
		case <-a.quit:
			return false
		case job := <-a.jobs:
			if err != nil {
				job.result <- err
				continue
			}
			result, lost := job.do(home)
			job.result <- result
			if lost {
				return true
			}
		}
	}
}

func openHome() (int, error) {
	// setns to a mount namespace is refused while file system attributes are shared with other threads.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return -1, fmt.Errorf("unshare file system attributes: %w", err)
	}
	fd, err := unix.Open("/proc/thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the mount namespace: %w", err)
	}
	return fd, nil
}

func (j *attachJob) do(home int) (err error, lost bool) {
	if err := unix.Setns(j.pidfd, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter the instance: %w", err), false
	}
	err = j.mount()
	if back := unix.Setns(home, unix.CLONE_NEWNS); back != nil {
		return errors.Join(err, fmt.Errorf("leave the instance: %w", back)), true
	}
	return err, false
}

// mount runs inside, where nobody's code has run yet: no path here has been tampered with.
func (j *attachJob) mount() error {
	if err := unix.MoveMount(j.tree, "", unix.AT_FDCWD, codeDir, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach code: %w", err)
	}
	if j.tmp == 0 {
		return nil
	}
	options := "size=" + strconv.FormatInt(j.tmp, 10) + ",nr_inodes=" + strconv.FormatInt(tmpInodes(j.tmp), 10)
	if err := unix.Mount("", "/tmp", "", unix.MS_REMOUNT|unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("resize /tmp: %w", err)
	}
	return nil
}

// tmpInodes bounds the files in a /tmp of the given size.
func tmpInodes(size int64) int64 { return max(1024, size>>13) }
