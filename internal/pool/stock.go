package pool

import (
	"sync"
	"sync/atomic"
	"time"

	"nimbus/internal/driver"
	"nimbus/internal/runtime"
	"nimbus/internal/scheduler"
)

// Bounds of the pause between failed starts of blanks.
const (
	firstBackOff = 200 * time.Millisecond
	lastBackOff  = 30 * time.Second
)

// stockKey names a stock.
type stockKey struct{ driver, runtime string }

// stock is every instance of one runtime on one driver, and the blanks among them.
type stock struct {
	driver  driver.Driver
	runtime runtime.Runtime
	current atomic.Pointer[RuntimeConfig]

	starved  atomic.Int64 // groups that wait for room
	neediest atomic.Int64 // fewest instances a function among them has

	mu        sync.Mutex
	all       map[*instance]struct{} // until they are Stopped
	blanks    []*instance
	users     int // functions that calls of it may come for
	starting  int // blanks
	failures  int // of starts, in a row
	notBefore time.Time
}

func newStock(d driver.Driver, rt runtime.Runtime) *stock {
	return &stock{driver: d, runtime: rt, all: make(map[*instance]struct{})}
}

// config is what holds at this moment.
func (s *stock) config() *RuntimeConfig { return s.current.Load() }

// add counts an instance in, if there is room.
func (s *stock) add(in *instance) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= s.config().MaxTotal {
		return false
	}
	s.all[in] = struct{}{}
	return true
}

// replace counts an instance in for one that failed and is on its way out.
func (s *stock) replace(in *instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[in] = struct{}{}
}

// remove takes an instance that is no more out and returns the group it served, nil for a blank.
func (s *stock) remove(in *instance) *group {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, in)
	s.dropBlank(in)
	return in.group
}

// assign gives an instance that was just made to a group.
func (s *stock) assign(in *instance, g *group, epoch uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in.group, in.born = g, epoch
}

// claim gives the newest blank to a group; nil when there is none.
func (s *stock) claim(g *group, epoch uint64) *instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := len(s.blanks); n > 0; n = len(s.blanks) {
		in := s.blanks[n-1]
		s.blanks[n-1] = nil
		s.blanks = s.blanks[:n-1]
		if in.alive() && in.move(Specializing) {
			in.group, in.born = g, epoch
			return in
		}
	}
	return nil
}

// shelve makes an instance a blank that can be claimed, and reports false when it has ended.
func (s *stock) shelve(in *instance) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures, s.notBefore = 0, time.Time{}
	in.seenAt = time.Now()
	if in.now() != Blank && !in.move(Blank) {
		return false
	}
	s.blanks = append(s.blanks, in)
	return true
}

// borrow takes a blank off the shelf and reports whether it was there.
func (s *stock) borrow(in *instance) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropBlank(in)
}

func (s *stock) dropBlank(in *instance) bool {
	for i, b := range s.blanks {
		if b == in {
			s.blanks = append(s.blanks[:i], s.blanks[i+1:]...)
			return true
		}
	}
	return false
}

// failed makes the next blanks wait, longer each time.
func (s *stock) failed(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pause := min(firstBackOff<<min(s.failures, 16), lastBackOff)
	s.failures++
	s.notBefore = now.Add(pause)
}

// failing reports whether the last blank could not be started.
func (s *stock) failing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures > 0
}

// instances copies the set.
func (s *stock) instances() []*instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*instance, 0, len(s.all))
	for in := range s.all {
		all = append(all, in)
	}
	return all
}

// snapshot describes the stock for the scheduler, and the blanks it describes.
func (s *stock) snapshot(waiting int) (scheduler.Runtime, []*instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	minWarm, targetWarm := s.warm()
	r := scheduler.Runtime{
		MinWarm: minWarm, TargetWarm: targetWarm, MaxTotal: s.config().MaxTotal,
		Total: len(s.all), Ending: s.ending(), Starting: s.starting, Waiting: waiting, NotBefore: s.notBefore,
	}
	for _, in := range s.blanks {
		r.Blanks = append(r.Blanks, scheduler.Blank{StartedAt: in.startedAt, SeenAt: in.seenAt})
	}
	return r, append([]*instance(nil), s.blanks...)
}

// warm is how many blanks to have. The caller holds the mutex.
func (s *stock) warm() (least, target int) {
	c := s.config()
	if c.Blanks == BlanksWhenUsed && s.users == 0 {
		return 0, 0
	}
	return c.MinWarm, c.TargetWarm
}

// wanted is how many blanks there are to be when nothing else is to be done.
func (s *stock) wanted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.warm())
}

// ending counts instances that are being stopped. The caller holds the mutex.
func (s *stock) ending() int {
	n := 0
	for in := range s.all {
		if in.now() == Stopping {
			n++
		}
	}
	return n
}

// use counts functions in or out.
func (s *stock) use(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users += n
}

// members returns the instances of some groups that are up.
func (s *stock) members(of map[*group]int) map[*group][]*instance {
	found := make(map[*group][]*instance, len(of))
	s.mu.Lock()
	defer s.mu.Unlock()
	for in := range s.all {
		if _, wanted := of[in.group]; !wanted || in.group == nil {
			continue
		}
		if state := in.now(); state == Idle || state == Frozen || state == Leased {
			found[in.group] = append(found[in.group], in)
		}
	}
	return found
}

// wants reports whether the function is to give up an instance to one that has fewer and waits for room.
func (s *stock) wants(f *function) bool {
	return s.starved.Load() > 0 && scheduler.Yields(f.instances, int(s.neediest.Load()))
}
