package auth

import (
	"sync"
	"time"

	"nimbus"
)

// known is a key as it was read from the store. It is shared and immutable.
type known struct {
	hash      [32]byte
	expires   time.Time
	principal nimbus.Principal
	read      time.Time
}

// cache remembers a bounded number of keys for a while. Safe for concurrent use.
type cache struct {
	size int
	time time.Duration

	mu        sync.RWMutex
	keys      map[nimbus.ID]*known
	deletions uint64
}

// ticket is what a reader of the store holds, so that a key deleted while it was read isn't remembered.
type ticket uint64

func newCache(size int, remember time.Duration) *cache {
	return &cache{size: size, time: remember, keys: make(map[nimbus.ID]*known)}
}

// get returns a key that is remembered, else nil and the ticket for put.
func (c *cache) get(id nimbus.ID, now time.Time) (*known, ticket) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	k := c.keys[id]
	if k == nil || now.Sub(k.read) >= c.time {
		return nil, ticket(c.deletions)
	}
	return k, 0
}

// put remembers a key, unless any was deleted since the ticket was given.
func (c *cache) put(id nimbus.ID, k *known, t ticket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if uint64(t) != c.deletions {
		return
	}
	if _, there := c.keys[id]; !there && len(c.keys) >= c.size {
		for victim := range c.keys { // any: keys are few, this is a bound
			delete(c.keys, victim)
			break
		}
	}
	c.keys[id] = k
}

// forget is called after a key was deleted from the store.
func (c *cache) forget(id nimbus.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deletions++
	delete(c.keys, id)
}
