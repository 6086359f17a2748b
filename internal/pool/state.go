package pool

import (
	"slices"
	"sync/atomic"
)

// State is where an instance is in its life.
type State uint32

// The states.
const (
	Starting     State = iota // the driver is making it
	Blank                     // up, without code
	Specializing              // the code is being attached and imported
	Idle                      // waits for a call
	Frozen                    // waits for a call and is paused
	Leased                    // held by a call, by several that share it, or by the pool's own upkeep
	Stopping                  // being ended
	Stopped                   // nothing is left of it
)

// moves is the transition table. Every living state can be stopped, and can end by itself.
var moves = [...][]State{
	Starting:     {Blank, Specializing, Stopping, Stopped},
	Blank:        {Specializing, Stopping, Stopped},
	Specializing: {Idle, Leased, Stopping, Stopped},
	Idle:         {Leased, Stopping, Stopped},
	Frozen:       {Leased, Stopping, Stopped},
	Leased:       {Idle, Frozen, Stopping, Stopped},
	Stopping:     {Stopped},
	Stopped:      {},
}

// States lists every state.
func States() []State {
	return []State{Starting, Blank, Specializing, Idle, Frozen, Leased, Stopping, Stopped}
}

// WarmStates lists the states of instances that wait for work.
func WarmStates() []State { return []State{Blank, Idle, Frozen} }

// String names the state.
func (s State) String() string {
	return [...]string{"starting", "blank", "specializing", "idle", "frozen", "leased", "stopping", "stopped"}[s]
}

// CanBecome reports whether the state machine has an arrow from s to next.
func (s State) CanBecome(next State) bool { return slices.Contains(moves[s], next) }

// machine holds an instance's state. The zero value is Starting.
type machine struct{ state atomic.Uint32 }

// move goes to next and reports true, or reports false when there is no such arrow. It alone changes the
// state: of two that race for an instance, such as a call and its death, one wins.
func (m *machine) move(next State) bool {
	for {
		now := State(m.state.Load())
		if !now.CanBecome(next) {
			return false
		}
		if m.state.CompareAndSwap(uint32(now), uint32(next)) {
			return true
		}
	}
}

// now returns the state.
func (m *machine) now() State { return State(m.state.Load()) }
