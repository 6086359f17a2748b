package invoke

import (
	"sync"

	"nimbus"
)

// inflight is the calls that have not ended, so that their records can be seen. It is sharded: every call
// passes it twice.
type inflight struct{ shards [16]shard }

type shard struct {
	mu    sync.Mutex
	calls map[nimbus.ID]*call
}

func (f *inflight) init() {
	for i := range f.shards {
		f.shards[i].calls = make(map[nimbus.ID]*call)
	}
}

// of picks the shard by the random end of the id.
func (f *inflight) of(id nimbus.ID) *shard { return &f.shards[id[15]%16] }

func (f *inflight) add(c *call) {
	s := f.of(c.record.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[c.record.ID] = c
}

func (f *inflight) remove(c *call) {
	s := f.of(c.record.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls[c.record.ID] == c { // a caller may have sent one id twice
		delete(s.calls, c.record.ID)
	}
}

// get returns the record of a call as it is now.
func (f *inflight) get(id nimbus.ID) (nimbus.Invocation, bool) {
	s := f.of(id)
	s.mu.Lock()
	c := s.calls[id]
	s.mu.Unlock()
	if c == nil {
		return nimbus.Invocation{}, false
	}
	return c.snapshot(), true
}

// all returns the records of every call as they are now, in no order.
func (f *inflight) all() []nimbus.Invocation {
	var calls []*call
	for i := range f.shards {
		s := &f.shards[i]
		s.mu.Lock()
		for _, c := range s.calls {
			calls = append(calls, c)
		}
		s.mu.Unlock()
	}
	records := make([]nimbus.Invocation, len(calls))
	for i, c := range calls {
		records[i] = c.snapshot()
	}
	return records
}
