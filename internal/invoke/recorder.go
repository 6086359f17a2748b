package invoke

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nimbus"
	"nimbus/internal/store"
)

const (
	batchSize       = 256  // records that are written without waiting for more
	maxBatch        = 2048 // records of one transaction
	firstWritePause = 50 * time.Millisecond
	lastWritePause  = 5 * time.Second
)

// recorder writes records in batches, off the way of calls. While they cannot be written they are kept, up
// to a bound; then the oldest go, and are counted.
type recorder struct {
	records   store.Records
	dropped   prometheus.Counter
	log       *slog.Logger
	every     time.Duration
	timeout   time.Duration // of the last write
	most      int
	mostBytes int64
	wake      chan struct{} // the queue is no longer empty, or has a batch

	mu    sync.Mutex
	queue []*ended // oldest first
	bytes int64    // of their inputs and outputs
	first uint64   // number of queue[0] since the start
}

func newRecorder(records store.Records, dropped prometheus.Counter, log *slog.Logger, c Config) *recorder {
	return &recorder{
		records: records, dropped: dropped, log: log, every: c.FlushEvery, timeout: c.FlushTimeout,
		most: c.Buffer, mostBytes: c.BufferBytes, wake: make(chan struct{}, 1),
	}
}

// add enters the record of a call that has ended.
func (r *recorder) add(e *ended) {
	r.mu.Lock()
	r.queue = append(r.queue, e)
	r.bytes += e.captured()
	lost := 0
	for len(r.queue) > r.most || r.bytes > r.mostBytes && len(r.queue) > 1 {
		r.bytes -= r.queue[0].captured()
		r.shift(1)
		lost++
	}
	n := len(r.queue)
	r.mu.Unlock()
	if lost > 0 {
		r.dropped.Add(float64(lost))
	}
	if n == 1 || n == batchSize {
		r.signal()
	}
}

func (r *recorder) signal() {
	select {
	case r.wake <- struct{}{}:
	default: // it is to wake up already
	}
}

// shift drops the first n records. The caller holds the mutex.
func (r *recorder) shift(n int) {
	clear(r.queue[:n])
	r.queue = r.queue[n:]
	r.first += uint64(n)
	if len(r.queue) == 0 {
		r.queue = nil
	}
}

// get finds a record that is not written yet.
func (r *recorder) get(id nimbus.ID) (nimbus.Invocation, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.queue) - 1; i >= 0; i-- {
		if r.queue[i].record.ID == id {
			return r.queue[i].snapshot(), true
		}
	}
	return nimbus.Invocation{}, false
}

// all returns the records that are not written yet.
func (r *recorder) all() []nimbus.Invocation {
	r.mu.Lock()
	defer r.mu.Unlock()
	records := make([]nimbus.Invocation, len(r.queue))
	for i, e := range r.queue {
		records[i] = e.snapshot()
	}
	return records
}

// run writes until ctx ends, then once more.
func (r *recorder) run(ctx context.Context) error {
	pause := firstWritePause
	for r.collect(ctx) {
		err := r.flush(ctx)
		if err == nil {
			pause = firstWritePause
			continue
		}
		if ctx.Err() == nil {
			r.log.Error("records could not be written; they are kept and tried again", "error", err, "waiting", r.length())
		}
		if !wait(ctx, pause) {
			break
		}
		pause = min(2*pause, lastWritePause)
		r.signal()
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.timeout)
	defer cancel()
	if err := r.flush(last); err != nil {
		lost := r.length()
		r.dropped.Add(float64(lost))
		r.log.Error("the last records could not be written", "error", err, "lost", lost)
	}
	return nil
}

// collect waits for records, and then a little for more. It reports false when ctx has ended.
func (r *recorder) collect(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-r.wake:
	}
	if r.length() >= batchSize {
		return true
	}
	timer := time.NewTimer(r.every)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-r.wake:
	case <-timer.C:
	}
	return true
}

func (r *recorder) length() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue)
}

// flush writes everything there is, batch by batch. Records stay visible until they are written.
func (r *recorder) flush(ctx context.Context) error {
	for {
		batch, end := r.batch()
		if len(batch) == 0 {
			return nil
		}
		if err := r.records.Append(ctx, batch); err != nil {
			return err
		}
		r.written(end)
	}
}

// batch copies the oldest records, and returns the number of the one after them.
func (r *recorder) batch() ([]nimbus.Invocation, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.queue), maxBatch)
	batch := make([]nimbus.Invocation, n)
	for i := range batch {
		batch[i] = r.queue[i].snapshot()
	}
	return batch, r.first + uint64(n)
}

// written drops the records before number end, of which the bound may have dropped some already.
func (r *recorder) written(end uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if end <= r.first {
		return
	}
	n := int(end - r.first)
	for _, e := range r.queue[:n] {
		r.bytes -= e.captured()
	}
	r.shift(n)
}
