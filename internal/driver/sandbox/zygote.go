//go:build linux && (amd64 || arm64)

package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	goruntime "runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nimbus/internal/driver/sandbox/spawn"
	"nimbus/internal/runtime"
)

const (
	startTimeout  = 20 * time.Second // of a zygote, on a machine that is very busy
	forkTimeout   = 10 * time.Second
	forksAtOnce   = 32 // forks are made one after another; more would only fill the socket
	startsPerCPU  = 2  // at once, of programs: each takes a processor for a while, and none may come late for the others
	controlBuffer = 2 << 20
	firstUID      = 1000
	lastUID       = 60000
)

// errZygoteGone says that a zygote ended, or takes no more requests, before a fork was made.
var errZygoteGone = errors.New("the zygote is gone")

// zygote is a process that starts blanks of one runtime. Safe for concurrent use.
type zygote struct {
	runtime runtime.Runtime
	forks   bool // and does not execute
	cmd     *exec.Cmd
	control *control
	log     *slog.Logger
	born    time.Time
	tokens  chan struct{} // one a start under way
	dead    chan struct{} // closed when it and all it forked are gone
	readers sync.WaitGroup

	mu        sync.Mutex
	instances map[uint64]*instance // by sequence number, from the request to the exit
	uids      map[uint32]bool      // taken
	seq       uint64
	retired   bool // takes no more requests
}

// startZygote starts a zygote and waits until it takes requests.
func startZygote(ctx context.Context, s *spawner, rt runtime.Runtime, agent string, uidBase uint32, log *slog.Logger) (*zygote, error) {
	p, err := newPlan(rt, agent)
	if err != nil {
		return nil, err
	}
	defer p.close()
	c, theirs, err := newControl()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	z := &zygote{
		runtime: rt, forks: p.setup.Bootstrap != "", control: c, log: log.With("runtime", rt.Name), born: time.Now(),
		tokens: make(chan struct{}, p.startsAtOnce()), dead: make(chan struct{}),
		instances: make(map[uint64]*instance), uids: make(map[uint32]bool),
	}
	if err := z.spawn(s, p, theirs, uidBase); err != nil {
		c.close()
		return nil, fmt.Errorf("start a process in namespaces of its own: %w", err)
	}
	if err := z.awaitReady(ctx, p); err != nil {
		z.kill()
		z.readers.Wait()
		_ = z.cmd.Wait() // killed: its status tells nothing
		c.close()
		return nil, err
	}
	z.readers.Go(z.read)
	return z, nil
}

// startsAtOnce bounds the starts under way.
func (m *mountPlan) startsAtOnce() int {
	if m.setup.Bootstrap != "" {
		return forksAtOnce
	}
	return startsPerCPU * goruntime.GOMAXPROCS(0)
}

// spawn starts the process, with what it prints going to the log.
func (z *zygote) spawn(s *spawner, p *mountPlan, theirs *os.File, uidBase uint32) error {
	printed, output, err := os.Pipe()
	if err != nil {
		return err
	}
	defer output.Close()
	z.cmd, err = s.start(modeZygote, uidBase, output, append([]*os.File{theirs}, p.fds...))
	if err != nil {
		printed.Close()
		return err
	}
	z.readers.Go(func() {
		defer printed.Close()
		for lines := bufio.NewScanner(printed); lines.Scan(); {
			z.log.Warn("zygote printed", "line", lines.Text())
		}
	})
	return nil
}

// awaitReady sends the plan and the setup and waits for the answer.
func (z *zygote) awaitReady(ctx context.Context, p *mountPlan) error {
	policy, err := newPolicy()
	if err != nil {
		return err
	}
	p.setup.Policy = policy
	if err := z.control.grow(controlBuffer); err != nil {
		return err
	}
	for _, message := range []any{p.plan, p.setup} {
		b, err := json.Marshal(message)
		if err == nil {
			err = z.control.send(b)
		}
		if err != nil {
			return fmt.Errorf("set up the zygote: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { z.control.setDeadline(time.Unix(1, 0)) })()
	r, err := z.control.receive()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("wait for the zygote: %w", ctx.Err())
	case err != nil:
		return fmt.Errorf("wait for the zygote: %w (what it printed is in the log)", err)
	case r.Kind != spawn.Ready:
		return fmt.Errorf("set up the zygote: %s", r.Text)
	}
	return nil
}

// read takes replies until the process is gone, then reaps it and ends what it had.
func (z *zygote) read() {
	for {
		r, err := z.control.receive()
		if err != nil {
			break
		}
		z.handle(r)
	}
	z.kill()
	_ = z.cmd.Wait()
	// Its PID namespace is empty now: every instance is gone.
	z.mu.Lock()
	z.retired = true
	left := make([]*instance, 0, len(z.instances))
	for _, i := range z.instances {
		left = append(left, i)
	}
	clear(z.instances)
	z.mu.Unlock()
	for _, i := range left {
		i.ended(errZygoteGone, unix.WaitStatus(unix.SIGKILL))
	}
	z.control.close()
	close(z.dead)
}

func (z *zygote) handle(r reply) {
	z.mu.Lock()
	i := z.instances[r.Seq]
	if r.Kind == spawn.Exited || r.Kind == spawn.NotForked {
		delete(z.instances, r.Seq)
	}
	z.mu.Unlock()
	if i == nil {
		z.log.Error("a zygote's reply is for nobody", "kind", string(r.Kind), "text", r.Text)
		if r.pidfd >= 0 {
			unix.Close(r.pidfd)
		}
		return
	}
	switch r.Kind {
	case spawn.Forked:
		i.forked(r.pidfd)
	case spawn.Exited:
		i.ended(nil, unix.WaitStatus(r.Status))
	case spawn.NotForked:
		i.ended(fmt.Errorf("fork: %s", r.Text), unix.WaitStatus(0))
	}
}

// fork asks for a blank that becomes i. That it was made shows at i.
func (z *zygote) fork(i *instance, fds []*os.File) error {
	z.mu.Lock()
	if z.retired {
		z.mu.Unlock()
		return errZygoteGone
	}
	z.seq++
	seq := z.seq
	uid := z.takeUID(seq)
	i.zygote, i.seq, i.uid = z, seq, uid
	z.instances[seq] = i
	z.mu.Unlock()
	if err := z.control.request(i.request(), fds); err != nil {
		z.mu.Lock()
		_, ours := z.instances[seq]
		if ours {
			delete(z.instances, seq)
			delete(z.uids, uid)
		}
		z.mu.Unlock()
		if !ours {
			return nil // read has seen the end of the zygote, and ended this instance with the others
		}
		if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, os.ErrClosed) {
			return fmt.Errorf("%w: %w", errZygoteGone, err)
		}
		return err
	}
	return nil
}

// takeUID returns a user id that no living instance has. z.mu is held.
func (z *zygote) takeUID(seq uint64) uint32 {
	for n := seq; ; n++ {
		uid := firstUID + uint32(n%(lastUID-firstUID))
		if !z.uids[uid] {
			z.uids[uid] = true
			return uid
		}
	}
}

// release gives an instance's user id back.
func (z *zygote) release(i *instance) {
	z.mu.Lock()
	delete(z.uids, i.uid)
	idle := z.retired && len(z.uids) == 0
	z.mu.Unlock()
	if idle {
		z.kill()
	}
}

// retire lets the zygote end when the last of its instances has.
func (z *zygote) retire() {
	z.mu.Lock()
	z.retired = true
	idle := len(z.uids) == 0
	z.mu.Unlock()
	if idle {
		z.kill()
	}
}

// isDead reports whether the process is gone.
func (z *zygote) isDead() bool {
	select {
	case <-z.dead:
		return true
	default:
		return false
	}
}

// made counts the forks asked for.
func (z *zygote) made() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return int(z.seq)
}

// kill ends the zygote and every instance it made.
func (z *zygote) kill() { _ = z.cmd.Process.Kill() }
