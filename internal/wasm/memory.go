package wasm

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

const (
	pageSize = 64 << 10 // of WebAssembly
	maxPages = 65536

	// clearBelow is up to where overwriting memory with zeros is cheaper than giving it back and having it
	// faulted in again.
	clearBelow = 128 << 10
)

// linear is the memory of a module's instances, one after the other. Its address space is reserved once, so that
// growing moves nothing; every instance finds it zeroed. It implements wazero's allocator and memory.
type linear struct {
	mapped  []byte
	used    uint64 // bytes that the instance at hand may have written to
	limit   uint64 // bytes
	refused bool   // that instance wanted to grow over the limit
}

// newLinear reserves address space for size bytes at most, rounded down to whole pages.
func newLinear(size int64) (*linear, error) {
	pages := min(max(size, 0)/pageSize, maxPages)
	m := &linear{limit: uint64(pages) * pageSize}
	if pages == 0 {
		return m, nil
	}
	mapped, err := unix.Mmap(-1, 0, int(min(m.limit, math.MaxInt)), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("reserve %d bytes of memory: %w", m.limit, err)
	}
	m.mapped = mapped
	return m, nil
}

// Reallocate implements experimental.LinearMemory. It returns nil when the memory can't become that large.
func (m *linear) Reallocate(size uint64) []byte {
	if size > m.limit {
		m.refused = true
		return nil
	}
	m.used = max(m.used, size)
	return m.mapped[:size:size]
}

// Free implements experimental.LinearMemory: the next instance starts with zeros. It may be called more than once.
func (m *linear) Free() {
	used := m.mapped[:m.used]
	m.used = 0
	if len(used) <= clearBelow {
		clear(used)
		return
	}
	if err := unix.Madvise(used, unix.MADV_DONTNEED); err != nil {
		clear(used)
	}
}

// release gives the address space back.
func (m *linear) release() error {
	if m.mapped == nil {
		return nil
	}
	mapped := m.mapped
	m.mapped, m.limit, m.used = nil, 0, 0
	return unix.Munmap(mapped)
}
