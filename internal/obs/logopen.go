package obs

import (
	"container/list"
	"sync"
)

// openSet bounds how many logs are loaded, and with that the open files: the one unused longest is unloaded
// first. A log that is being changed at that moment is passed over.
type openSet struct {
	max int

	mu       sync.Mutex
	order    list.List // of *functionLog, the last used in front
	elements map[*functionLog]*list.Element
}

// use notes that f, which is loaded, is used, and returns a log to unload in its place, if any. The caller
// then has that log's token.
func (o *openSet) use(f *functionLog) *functionLog {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.elements == nil {
		o.elements = make(map[*functionLog]*list.Element)
	}
	if e, ok := o.elements[f]; ok {
		o.order.MoveToFront(e)
	} else {
		o.elements[f] = o.order.PushFront(f)
	}
	if o.order.Len() <= o.max {
		return nil
	}
	for e := o.order.Back(); e != nil; e = e.Prev() {
		victim := e.Value.(*functionLog)
		if victim != f && victim.tryAcquire() {
			o.order.Remove(e)
			delete(o.elements, victim)
			return victim
		}
	}
	return nil
}

// remove forgets f.
func (o *openSet) remove(f *functionLog) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e, ok := o.elements[f]; ok {
		o.order.Remove(e)
		delete(o.elements, f)
	}
}
