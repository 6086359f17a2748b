// Package scheduler decides which instances to start, freeze, ping, keep and stop. Its functions are pure:
// they see a snapshot and the time, and answer what ought to be done. The pool takes the snapshot and acts.
package scheduler

import "time"

// Policy is what holds for every instance. A duration or count of zero switches its rule off.
type Policy struct {
	FreezeAfter    time.Duration // an instance that has idled so long is frozen
	IdleTimeout    time.Duration // and one that has idled so long is reclaimed, unless its function says otherwise
	MaxAge         time.Duration // an instance older than this is reclaimed once it is idle
	MaxInvocations int           // so is one that has served so many calls
	PingEvery      time.Duration // an instance not heard of for so long is asked for a sign of life
}

// Snapshot is what the pool has at one moment. Instances that run a call are not in it: nothing may be done
// with them.
type Snapshot struct {
	Runtimes []Runtime
	Kept     []Kept
	Idle     []Idle // those of one version from the least to the most recently used
}

// Runtime is the stock of one runtime.
type Runtime struct {
	MinWarm    int // blanks to have at any price
	TargetWarm int // blanks to have when no call waits for a start
	MaxTotal   int // instances in all; 0 = unbounded
	Total      int // instances in every state, those that are being started included
	Ending     int // of those
	Blanks     []Blank
	Starting   int       // blanks that are being started
	Waiting    int       // calls that wait for a start
	NotBefore  time.Time // starts fail: none before this
}

// Blank is an instance without code.
type Blank struct {
	StartedAt time.Time
	SeenAt    time.Time // when it last gave a sign of life
}

// Idle is an instance with code that waits for a call.
type Idle struct {
	StartedAt time.Time
	UsedAt    time.Time // when its last call ended
	SeenAt    time.Time // when it last gave a sign of life
	Uses      int
	Timeout   time.Duration // the function's idle timeout; 0 = the policy's
	Kept      int           // 1 + the index of its version among the kept ones; 0 = it is none of them
	Runtime   int           // index of its runtime
	Pause     Pause
}

// Pause tells whether an instance can be frozen, and is.
type Pause uint8

// The pauses.
const (
	Unpausable Pause = iota
	Pausable
	Frozen
)

// Plan is what ought to be done. Numbers are indexes into the snapshot.
type Plan struct {
	Start   []Start
	Drop    []BlankRef
	Ping    []BlankRef // blanks to ask for a sign of life
	Check   []int      // idle instances to ask for one
	Freeze  []int
	Reclaim []Reclaim
	Lacking []Lack
	Next    time.Time // when time alone will change the plan; zero = never
}

// Start asks for blanks.
type Start struct {
	Runtime int
	Count   int
}

// BlankRef names a blank: the runtime, and the blank in it.
type BlankRef struct {
	Runtime int
	Blank   int
}

// Reclaim stops an idle instance.
type Reclaim struct {
	Idle   int
	Reason Reason
}

// Reason is why an instance is reclaimed.
type Reason string

// The reasons.
const (
	ReasonIdle Reason = "idle"
	ReasonAge  Reason = "age"
	ReasonUses Reason = "uses"
	ReasonFull Reason = "max_total" // which has been lowered
)

// Make plans what to do at the moment now.
func Make(p Policy, s Snapshot, now time.Time) Plan {
	m := maker{policy: p, now: now, spare: make([]int, len(s.Kept))}
	for i := range s.Runtimes {
		m.blanks(i, &s.Runtimes[i])
	}
	for i := range s.Kept {
		m.spare[i] = m.kept(i, &s.Kept[i])
	}
	over := m.over(&s)
	for i := range s.Idle {
		if over[i] {
			m.reclaim(i, &s.Idle[i], ReasonFull)
			continue
		}
		m.idle(i, &s.Idle[i])
	}
	return m.plan
}

// maker gathers a plan.
type maker struct {
	policy Policy
	now    time.Time
	plan   Plan
	spare  []int // by kept version: how many fresh instances can go
}

// due reports whether the moment since+after has come. If not, the plan remembers it.
func (m *maker) due(since time.Time, after time.Duration) bool {
	if after <= 0 {
		return false
	}
	at := since.Add(after)
	if !at.After(m.now) {
		return true
	}
	if m.plan.Next.IsZero() || at.Before(m.plan.Next) {
		m.plan.Next = at
	}
	return false
}
