package pool

import (
	"cmp"
	"slices"
)

// Stats is what the pool has at one moment.
type Stats struct {
	Stocks    []StockStats // by runtime, then driver
	Held      int64        // calls that wait for an instance
	HeldBytes int64        // and the size of their events
}

// StockStats counts the instances of one runtime on one driver.
type StockStats struct {
	Runtime  string
	Driver   string
	Blanks   int // to have
	MaxTotal int
	States   map[State]int // no entry for Stopped
	Failing  bool          // the last blank could not be started
}

// Stats counts. It takes no lock that a call would wait for long.
func (p *Pool) Stats() Stats {
	s := Stats{Held: p.held.Load(), HeldBytes: p.heldBytes.Load()}
	for key, stock := range p.stocks {
		one := StockStats{Runtime: key.runtime, Driver: key.driver, MaxTotal: stock.config().MaxTotal, Blanks: stock.wanted(),
			States: make(map[State]int), Failing: stock.failing()}
		for _, in := range stock.instances() {
			if state := in.now(); state != Stopped {
				one.States[state]++
			}
		}
		s.Stocks = append(s.Stocks, one)
	}
	slices.SortFunc(s.Stocks, func(a, b StockStats) int {
		return cmp.Or(cmp.Compare(a.Runtime, b.Runtime), cmp.Compare(a.Driver, b.Driver))
	})
	return s
}
