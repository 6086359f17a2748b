package pool

// stockIndex finds the stock of a runtime by the names that functions ask for it by, without a lock.
type stockIndex struct{ byName map[stockKey]*stock }

// fill enters the name and the aliases of every runtime. It is called before any find.
func (x *stockIndex) fill(stocks map[stockKey]*stock) {
	x.byName = make(map[stockKey]*stock, len(stocks))
	for key, s := range stocks {
		for _, alias := range s.runtime.Aliases {
			x.byName[stockKey{key.driver, alias}] = s
		}
	}
	for key, s := range stocks { // a runtime's own name goes before another's alias
		x.byName[key] = s
	}
}

// find returns the stock, nil when no runtime goes by that name.
func (x *stockIndex) find(key stockKey) *stock { return x.byName[key] }
