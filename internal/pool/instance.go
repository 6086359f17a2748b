package pool

import (
	"sync/atomic"
	"time"

	"nimbus"
	"nimbus/internal/driver"
)

// instance is one place that runs one version of one function, or a blank that may become one.
type instance struct {
	machine
	id        string
	stock     *stock
	output    *output
	driver    driver.Instance // set once it has been started
	pauser    driver.Pauser   // nil when it cannot be frozen
	startedAt time.Time

	// Set once, under the stock's mutex, when it is to be given code.
	group *group
	born  uint64 // the function's epoch then

	// Guarded by the stock's mutex while it is a blank, by the function's afterwards.
	usedAt time.Time
	seenAt time.Time
	uses   int
	serial uint64    // of its last lease
	busyAt time.Time // when that began

	lease atomic.Uint64 // serial of the lease that holds it; 0 = none

	// Touched only by who holds the instance: under the function's mutex while it idles, else by its lessee. Always
	// under the mutex where several calls share it.
	paused bool

	// Of an instance that takes several calls at once. Guarded by the function's mutex.
	seated  int  // calls that run
	closing bool // it takes no more, and is stopped when the last has ended
}

func (p *Pool) newInstance(s *stock) *instance {
	in := &instance{id: nimbus.NewID().String(), stock: s, startedAt: time.Now()}
	in.output = newOutput(p.logs, p.config().Limits, in.id)
	return in
}

// alive reports whether the instance has not ended by itself.
func (in *instance) alive() bool {
	select {
	case <-in.driver.Done():
		return false
	default:
		return true
	}
}

// take makes the instance the next lease's. The caller holds the function's mutex.
func (in *instance) take(phases nimbus.Phases, start startKind) grant {
	if in.group.seats > 1 {
		return in.sit(phases, start)
	}
	in.serial++
	in.busyAt = time.Now()
	in.lease.Store(in.serial)
	in.group.began(in.busyAt)
	return grant{instance: in, serial: in.serial, at: in.busyAt, start: start, phases: phases}
}

// startKind says whether a call waited for its instance to be started.
type startKind uint8

const (
	warm startKind = iota
	cold
)

// grant is what a held call waits for: an instance, or the reason why there is none.
type grant struct {
	instance *instance
	serial   uint64
	seat     *seat     // nil when the instance is the call's alone
	at       time.Time // when the lease began
	start    startKind
	phases   nimbus.Phases
	err      error
}
