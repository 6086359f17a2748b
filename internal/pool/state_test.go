package pool

import (
	"slices"
	"sync"
	"testing"
)

// The arrows of the state machine, spelled out once more.
var arrows = map[State][]State{
	Starting:     {Blank, Specializing, Stopping, Stopped},
	Blank:        {Specializing, Stopping, Stopped},
	Specializing: {Idle, Leased, Stopping, Stopped},
	Idle:         {Leased, Stopping, Stopped},
	Frozen:       {Leased, Stopping, Stopped},
	Leased:       {Idle, Frozen, Stopping, Stopped},
	Stopping:     {Stopped},
}

func TestEveryMove(t *testing.T) {
	t.Parallel()
	for _, from := range States() {
		for _, to := range States() {
			var m machine
			m.state.Store(uint32(from))
			want := slices.Contains(arrows[from], to)
			if got := m.move(to); got != want {
				t.Errorf("%s → %s: moved %t, want %t", from, to, got, want)
			}
			end := from
			if want {
				end = to
			}
			if m.now() != end {
				t.Errorf("%s → %s: ended as %s", from, to, m.now())
			}
		}
	}
}

func TestOneOfManyWinsAMove(t *testing.T) {
	t.Parallel()
	var m machine
	m.state.Store(uint32(Idle))
	var won sync.Map
	var racers sync.WaitGroup
	for i := range 8 {
		racers.Go(func() {
			if m.move(Leased) {
				won.Store(i, true)
			}
		})
	}
	racers.Wait()
	n := 0
	won.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d won", n)
	}
}
