//go:build linux && (amd64 || arm64)

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"nimbus/internal/driver"
	"nimbus/internal/driver/sandbox/cgroup"
)

// groupsAhead is how many cgroups are made before they are asked for.
const groupsAhead = 16

// madeGroup is a cgroup nobody has been in yet, with the files by which one enters it.
type madeGroup struct {
	group *cgroup.Group
	join  []*os.File
}

func (m madeGroup) close() { closeAll(m.join) }

// groups makes cgroups ahead and removes those that were used; one is never used twice.
type groups struct {
	tree  *cgroup.Tree
	log   *slog.Logger
	ahead chan madeGroup

	mu   sync.Mutex
	left []*cgroup.Group // the kernel would not let go of them
}

func newGroups(tree *cgroup.Tree, log *slog.Logger) *groups {
	return &groups{tree: tree, log: log, ahead: make(chan madeGroup, groupsAhead)}
}

// take returns a cgroup, made ahead if there is one.
func (g *groups) take() (madeGroup, error) {
	select {
	case m := <-g.ahead:
		return m, nil
	default:
		return g.make()
	}
}

func (g *groups) make() (madeGroup, error) {
	group, err := g.tree.NewGroup()
	if err != nil {
		return madeGroup{}, err
	}
	join, err := group.JoinFiles()
	if err != nil {
		g.remove(group)
		return madeGroup{}, err
	}
	return madeGroup{group: group, join: join}, nil
}

// run makes cgroups ahead until ctx ends, then removes those that were not used.
func (g *groups) run(ctx context.Context) {
	for ctx.Err() == nil {
		m, err := g.make()
		if err != nil {
			g.log.Error("make cgroup ahead", "error", err)
			wait(ctx, lastBackOff)
			continue
		}
		select {
		case g.ahead <- m:
		case <-ctx.Done():
			g.discard(m)
		}
	}
}

func (g *groups) discard(m madeGroup) {
	m.close()
	g.remove(m.group)
}

// remove takes a cgroup away. One that stays is tried again by teardown, and by the next Sweep.
func (g *groups) remove(group *cgroup.Group) {
	ctx, cancel := context.WithTimeout(context.Background(), removeGrace)
	defer cancel()
	if err := group.Remove(ctx); err != nil {
		g.log.Error("remove cgroup", "error", err)
		g.mu.Lock()
		g.left = append(g.left, group)
		g.mu.Unlock()
	}
}

// teardown removes the whole tree; run has returned and every instance is gone.
func (g *groups) teardown(ctx context.Context) error {
	for {
		select {
		case m := <-g.ahead:
			g.discard(m)
			continue
		default:
		}
		break
	}
	g.mu.Lock()
	left := g.left
	g.left = nil
	g.mu.Unlock()
	var errs []error
	for _, group := range left {
		errs = append(errs, group.Remove(ctx))
	}
	return errors.Join(append(errs, g.tree.Teardown(ctx))...)
}

// limits is what a cgroup holds of an instance's resources.
func limits(r driver.Resources) cgroup.Limits {
	return cgroup.Limits{Memory: r.Memory, CPUMilli: r.CPUMilli, PIDs: r.PIDs}
}

// missingLimit names the first limit asked for that the machine can't hold.
func missingLimit(s *cgroup.System, r driver.Resources) error {
	for _, l := range []struct {
		asked      bool
		controller cgroup.Controller
	}{{r.Memory > 0, cgroup.Memory}, {r.CPUMilli > 0, cgroup.CPU}, {r.PIDs > 0, cgroup.PIDs}} {
		if l.asked && !s.Has(l.controller) {
			return fmt.Errorf("the %s limit can't be held: its cgroup controller is not mounted", l.controller)
		}
	}
	return nil
}
