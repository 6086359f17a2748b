package invoke

import (
	"sync/atomic"
	"time"

	"nimbus"
	"nimbus/internal/obs/tracing"
)

// ended is the record of a call. Once the call has ended nobody changes it any more, except for one thing that is
// not known before: how long writing the answer took.
type ended struct {
	record nimbus.Invocation
	spans  *tracing.Call // nil when it is not traced
	write  atomic.Int64  // ns; 0 = not known
}

// snapshot copies the record of a call that has ended.
func (e *ended) snapshot() nimbus.Invocation {
	record := e.record
	record.Phases.Write = time.Duration(e.write.Load())
	return record
}

// captured is what the record weighs besides its fixed size.
func (e *ended) captured() int64 {
	return int64(len(e.record.Input) + len(e.record.Output) + len(e.record.Error))
}

// Written notes that the answer has been written. The call's record tells how long that took, if it has not been
// stored before.
func (r *Result) Written() {
	if r.ended == nil {
		return
	}
	took := time.Since(r.ended.record.CompletedAt)
	r.ended.write.Store(int64(took))
	r.ended.spans.Written(took)
}
