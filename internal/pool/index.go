package pool

import (
	"maps"
	"sync/atomic"
)

// maxNames bounds the names an index remembers. There are as many as functions were deployed under.
const maxNames = 10_000

// stockIndex finds the stock of a runtime by the names that functions ask for it by: any Go program runs on the
// one Go there is. It takes no lock, and a name that was asked for before costs one lookup.
type stockIndex struct {
	stocks map[stockKey]*stock
	byName atomic.Pointer[map[stockKey]*stock]
}

// fill enters the runtimes by their own names. It is called before any find.
func (x *stockIndex) fill(stocks map[stockKey]*stock) {
	x.stocks = stocks
	x.byName.Store(&stocks)
}

// find returns the stock, nil when no runtime goes by that name.
func (x *stockIndex) find(key stockKey) *stock {
	known := x.byName.Load()
	if s := (*known)[key]; s != nil {
		return s
	}
	for at, s := range x.stocks {
		if at.driver == key.driver && s.runtime.Serves(key.runtime) {
			x.remember(known, key, s)
			return s
		}
	}
	return nil
}

// remember enters a name. When another was entered meanwhile, this one is entered the next time it is asked for.
func (x *stockIndex) remember(known *map[stockKey]*stock, key stockKey, s *stock) {
	if len(*known) >= maxNames {
		return
	}
	next := maps.Clone(*known)
	next[key] = s
	x.byName.CompareAndSwap(known, &next)
}
