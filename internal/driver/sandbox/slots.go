//go:build linux && (amd64 || arm64)

package sandbox

import (
	"errors"
	"hash/fnv"
	"sync"
)

const (
	slotCount = 64 // zygotes at once, the retired ones that still have instances included

	lowestUID  = 0x70000000
	highestUID = 0x7ff00000
)

// slots hands out ranges of host user ids. Zygotes that overlap must not share one: their instances could
// else signal and read each other, were a namespace to fail.
type slots struct {
	base uint32

	mu    sync.Mutex
	taken [slotCount]bool
}

// newSlots begins at base, or, for 0, at a place that depends on the owner.
func newSlots(base uint32, owner string) *slots {
	if base == 0 {
		h := fnv.New32a()
		h.Write([]byte(owner))
		const places = (highestUID - lowestUID) / (slotCount * uidRange)
		base = lowestUID + h.Sum32()%places*slotCount*uidRange
	}
	return &slots{base: base}
}

func (s *slots) take() (uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, taken := range s.taken {
		if !taken {
			s.taken[n] = true
			return s.base + uint32(n)*uidRange, nil
		}
	}
	return 0, errors.New("no range of user ids is free: too many zygotes have instances left")
}

func (s *slots) give(base uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken[(base-s.base)/uidRange] = false
}
