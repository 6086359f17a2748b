package invoke

import "time"

// lookup is when and for how long the store was asked, or the first version was waited for; zero = neither.
type lookup struct {
	began time.Time
	took  time.Duration
}

// then adds a lookup that came afterwards.
func (l lookup) then(next lookup) lookup {
	if l.took == 0 {
		return next
	}
	l.took += next.took
	return l
}

// after returns the target as it is for the caller who waited for the lookup. Most wait for none.
func (t *Target) after(l lookup) *Target {
	if l.took == 0 {
		return t
	}
	own := *t
	own.lookup = l
	return &own
}
