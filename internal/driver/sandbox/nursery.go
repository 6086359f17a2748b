//go:build linux && (amd64 || arm64)

package sandbox

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"nimbus/internal/runtime"
)

const (
	firstBackOff = 100 * time.Millisecond
	lastBackOff  = 5 * time.Second
	recycleCheck = time.Second
)

// nursery keeps a zygote of one runtime alive: a dead one is replaced at once, an old one that forks, and so hands
// down what it knows, retired when its successor is up.
type nursery struct {
	runtime runtime.Runtime
	spawner *spawner
	slots   *slots
	config  Config
	log     *slog.Logger

	mu      sync.Mutex
	current *zygote // nil while there is none
	failure error   // why there is none
	changed chan struct{}
	zygotes sync.WaitGroup // those not dead yet
}

func newNursery(rt runtime.Runtime, s *spawner, free *slots, c Config) *nursery {
	return &nursery{runtime: rt, spawner: s, slots: free, config: c, log: c.Log.With("runtime", rt.Name),
		changed: make(chan struct{})}
}

// zygote returns the current zygote, but not the one that just failed the caller, waiting for one that is
// being started. When starting fails, so does it.
func (n *nursery) zygote(ctx context.Context, failed *zygote) (*zygote, error) {
	for waited := false; ; waited = true {
		n.mu.Lock()
		z, err, changed := n.current, n.failure, n.changed
		n.mu.Unlock()
		switch {
		case z != nil && z != failed && !z.isDead():
			return z, nil
		case z == nil && err != nil && waited:
			return nil, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// publish makes z, or the reason that there is none, known to those who wait.
func (n *nursery) publish(z *zygote, failure error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.current, n.failure = z, failure
	close(n.changed)
	n.changed = make(chan struct{})
}

// run keeps a zygote until ctx ends, then ends every one and what they made.
func (n *nursery) run(ctx context.Context) {
	backOff := firstBackOff
	for ctx.Err() == nil {
		z, err := n.start(ctx)
		if err != nil {
			if ctx.Err() == nil {
				n.log.Error("start zygote", "error", err)
				n.publish(nil, err)
			}
			wait(ctx, backOff)
			backOff = min(2*backOff, lastBackOff)
			continue
		}
		backOff = firstBackOff
		previous := n.swap(z)
		if previous != nil {
			previous.retire()
		}
		n.log.Info("zygote takes over", "took", time.Since(z.born).Round(time.Millisecond))
		n.watch(ctx, z)
	}
	n.publish(nil, errors.New("the driver is stopping"))
	n.zygotes.Wait()
}

func (n *nursery) swap(z *zygote) (previous *zygote) {
	n.mu.Lock()
	previous = n.current
	n.mu.Unlock()
	n.publish(z, nil)
	return previous
}

// start starts a zygote in a range of user ids of its own, which it keeps until it is dead.
func (n *nursery) start(ctx context.Context) (*zygote, error) {
	base, err := n.slots.take()
	if err != nil {
		return nil, err
	}
	z, err := startZygote(ctx, n.spawner, n.runtime, n.config.Agent, base, n.config.Log)
	if err != nil {
		n.slots.give(base)
		return nil, err
	}
	n.zygotes.Go(func() {
		select {
		case <-z.dead:
		case <-ctx.Done():
			z.kill()
			<-z.dead
		}
		z.readers.Wait()
		n.slots.give(base)
	})
	return z, nil
}

// watch returns when z must be replaced: because it died, or because it is old.
func (n *nursery) watch(ctx context.Context, z *zygote) {
	tick := time.NewTicker(recycleCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-z.dead:
			n.log.Error("zygote died", "age", time.Since(z.born).Round(time.Second))
			n.publish(nil, nil)
			return
		case <-tick.C:
			if z.forks && (time.Since(z.born) > n.config.ZygoteAge || z.made() >= n.config.ZygoteForks) {
				return
			}
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
