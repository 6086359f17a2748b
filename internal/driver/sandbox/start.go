//go:build linux && (amd64 || arm64)

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/driver/sandbox/spawn"
	"nimbus/internal/runtime"
	"nimbus/internal/wire"
)

const startTries = 3 // of a fork whose zygote died under it

// Start makes an instance; with Spec.Code it is specialized too.
func (d *Driver) Start(ctx context.Context, spec driver.Spec) (driver.Instance, error) {
	if err := d.canHold(spec.Resources); err != nil {
		return nil, err
	}
	i, err := d.startBlank(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("start instance %s: %w", spec.ID, err)
	}
	if spec.Code == nil {
		return i, nil
	}
	if _, err := i.Specialize(ctx, *spec.Code); err != nil {
		d.abandon(ctx, i)
		return nil, err
	}
	return i, nil
}

// canHold refuses limits that this machine can't hold, unless the configuration lets them go.
func (d *Driver) canHold(r driver.Resources) error {
	if d.config.AllowMissingLimits {
		return nil
	}
	if err := missingLimit(d.system, r); err != nil {
		return nimbus.WrapError(nimbus.CodeConflict, err,
			"%s; mount it, or set driver.sandbox.allow_missing_limits", err)
	}
	return nil
}

func (d *Driver) startBlank(ctx context.Context, spec driver.Spec) (*instance, error) {
	n, err := d.begin(ctx, spec.Runtime)
	if err != nil {
		return nil, err
	}
	defer d.starts.Done()
	var failed *zygote
	for try := 1; ; try++ {
		z, err := n.zygote(ctx, failed)
		if err != nil {
			return nil, err
		}
		i, err := d.fork(ctx, z, spec)
		if err == nil {
			return i, nil
		}
		if !errors.Is(err, errZygoteGone) || try == startTries {
			return nil, err
		}
		failed = z
	}
}

// begin waits for Run and returns the nursery of the runtime. The caller is one of d.starts then.
func (d *Driver) begin(ctx context.Context, rt runtime.Runtime) (*nursery, error) {
	if seen := under(d.config.Dir, visible(rt)); seen != "" {
		return nil, fmt.Errorf("functions of %s would see %s, as it is under %s", rt.Name, d.config.Dir, seen)
	}
	select {
	case <-d.running:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.nurseries == nil || d.ctx.Err() != nil {
		return nil, nimbus.Errorf(nimbus.CodeUnavailable, "the driver is stopping")
	}
	n := d.nurseries[rt.Name]
	if n == nil {
		n = newNursery(rt, d.spawner, d.slots, d.config)
		d.nurseries[rt.Name] = n
		d.keepers.Go(func() { n.run(d.ctx) })
	}
	d.starts.Add(1)
	return n, nil
}

// fork makes a blank and waits for its Hello.
func (d *Driver) fork(ctx context.Context, z *zygote, spec driver.Spec) (*instance, error) {
	select {
	case z.tokens <- struct{}{}:
		defer func() { <-z.tokens }()
	case <-z.dead:
		return nil, errZygoteGone
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	i, fds, err := d.newInstance(spec)
	if err != nil {
		return nil, err
	}
	if spec.Code != nil && !z.forks {
		i.settings = spec.Runtime.StartSettings(spec.Code.Init.Env)
	}
	err = z.fork(i, fds)
	closeAll(fds)
	if err != nil {
		i.discard()
		return nil, err
	}
	// The request is on its way: from here on it is the zygote's reply that ends the instance.
	i.output.start()
	if err := i.handshake(ctx, z); err != nil {
		d.abandon(ctx, i)
		return nil, err
	}
	i.output.attach(spec.Output)
	return i, nil
}

// request is what the zygote is asked for.
func (i *instance) request() spawn.Request {
	tmp := i.resources.Tmp
	r := spawn.Request{Seq: i.seq, UID: i.uid, Tmp: tmp, Inodes: tmpInodes(tmp)}
	for name, value := range i.settings {
		r.Env = append(r.Env, name+"="+value)
	}
	return r
}

// handshake waits for the Hello of an instance that was asked for.
func (i *instance) handshake(ctx context.Context, z *zygote) error {
	waiting, cancel := context.WithTimeout(ctx, forkTimeout)
	defer cancel()
	i.busy.Lock()
	_, err := i.conn.Handshake(waiting)
	i.busy.Unlock()
	if err == nil {
		err = i.awaitBirth(waiting)
	}
	if err == nil {
		return nil
	}
	if ctx.Err() == nil && waiting.Err() != nil {
		return i.overdue(z)
	}
	if !errors.Is(err, wire.ErrEnded) {
		return err
	}
	exit := i.exitError(ctx)
	i.mu.Lock()
	failure := i.failure
	i.mu.Unlock()
	if failure != nil {
		return failure
	}
	if printed := strings.TrimSpace(i.output.detach()); printed != "" {
		return fmt.Errorf("%w: %s", exit, printed[strings.LastIndexByte(printed, '\n')+1:])
	}
	return exit
}

// overdue says what an instance that did not come in time means.
func (i *instance) overdue(z *zygote) error {
	select {
	case <-i.born:
		return fmt.Errorf("no hello within %s", forkTimeout)
	default:
		// The zygote itself hangs, and with it every start to come; the nursery replaces it.
		z.kill()
		return fmt.Errorf("the zygote made no instance within %s", forkTimeout)
	}
}

// awaitBirth waits for the zygote's word: a child may be quicker with its own.
func (i *instance) awaitBirth(ctx context.Context) error {
	select {
	case <-i.born:
		return nil
	case <-i.exitKnown:
		return wire.ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newInstance makes all that an instance needs on the host. fds go with the fork request.
func (d *Driver) newInstance(spec driver.Spec) (*instance, []*os.File, error) {
	made, err := d.groups.take()
	if err != nil {
		return nil, nil, err
	}
	fail := func(err error) (*instance, []*os.File, error) {
		d.groups.discard(made)
		return nil, nil, err
	}
	if err := made.group.SetLimits(limits(spec.Resources)); err != nil {
		return fail(err)
	}
	meter, err := made.group.Meter()
	if err != nil {
		return fail(err)
	}
	output, streams, err := newOutput(d.buffers)
	if err != nil {
		meter.Close()
		return fail(err)
	}
	ours, theirs, err := socketPair(unix.SOCK_STREAM)
	if err != nil {
		meter.Close()
		output.close()
		closeAll(streams[:])
		return fail(err)
	}
	i := &instance{
		id: spec.ID, driver: d, group: made.group, meter: meter, socket: ours, conn: wire.NewConn(ours), output: output,
		born: make(chan struct{}), exitKnown: make(chan struct{}), done: make(chan struct{}), stop: make(chan struct{}),
		pidfd: -1, resources: spec.Resources,
	}
	return i, append([]*os.File{theirs, streams[0], streams[1]}, made.join...), nil
}

// discard releases an instance that was never asked for.
func (i *instance) discard() {
	i.output.close()
	i.meter.Close()
	_ = i.conn.Close()
	i.driver.groups.remove(i.group)
}

// abandon stops an instance that nobody will get, whatever has become of ctx.
func (d *Driver) abandon(ctx context.Context, i *instance) {
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), forkTimeout)
	defer cancel()
	if err := i.Stop(stopping); err != nil {
		d.log.Error("stop an instance that could not start", "instance_id", i.id, "error", err)
	}
}
