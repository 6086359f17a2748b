package obs

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nimbus"
)

// maxErrorTypes bounds the error types of one function that have series of their own: an exception's name
// is the user's. The platform's own types do not count.
const maxErrorTypes = 20

// maxErrorTypeLen bounds the bytes of an error type.
const maxErrorTypeLen = 64

// Observation is what a call came to, for the metrics.
type Observation struct {
	Status    nimbus.InvocationStatus // one that has ended
	ErrorType string                  // "" on success
	Start     Start
	Duration  time.Duration
}

// Start says how a call got its instance.
type Start uint8

// How a call got its instance.
const (
	StartNone Start = iota // it got none
	StartWarm              // it found one
	StartCold              // one was started for it
)

// FunctionMetrics counts the calls of one function. It is made to be kept beside the function: Observe costs
// a few atomic operations. Safe for concurrent use; after DeleteFunction it counts into nothing.
type FunctionMetrics struct {
	label                string
	failures             *prometheus.CounterVec
	byStatus             map[nimbus.InvocationStatus]prometheus.Counter
	cold, warm           prometheus.Observer
	coldStart, warmStart prometheus.Counter

	mu      sync.Mutex
	byError map[string]prometheus.Counter
	minted  int // error types in byError that are not the platform's
	deleted bool
}

// Function returns the handle of a function on a runtime. Past 1,000 functions the handle is one that the
// later ones share.
func (m *Metrics) Function(id nimbus.ID, runtime string) *FunctionMetrics {
	m.mu.RLock()
	f := m.functions[id][runtime]
	m.mu.RUnlock()
	if f != nil {
		return f
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	label, handles := id.String(), m.functions[id]
	switch {
	case handles == nil && len(m.functions) >= m.maxFunctions:
		label, handles = otherLabel, m.others
	case handles == nil:
		handles = make(map[string]*FunctionMetrics, 1)
		m.functions[id] = handles
	}
	if handles[runtime] == nil {
		handles[runtime] = m.newFunction(label, runtime)
	}
	return handles[runtime]
}

// DeleteFunction drops the function's series, if it had its own, and gives its place to another.
func (m *Metrics) DeleteFunction(id nimbus.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	handles, ok := m.functions[id]
	if !ok {
		return
	}
	delete(m.functions, id)
	for _, f := range handles {
		f.mu.Lock()
		f.deleted = true
		f.mu.Unlock()
	}
	labels := prometheus.Labels{"function_id": id.String()}
	m.invocations.DeletePartialMatch(labels)
	m.durations.DeletePartialMatch(labels)
	m.failures.DeletePartialMatch(labels)
}

func (m *Metrics) newFunction(label, runtime string) *FunctionMetrics {
	f := &FunctionMetrics{
		label:     label,
		failures:  m.failures,
		byStatus:  make(map[nimbus.InvocationStatus]prometheus.Counter),
		cold:      m.durations.WithLabelValues(label, runtime, "true"),
		warm:      m.durations.WithLabelValues(label, runtime, "false"),
		coldStart: m.coldStarts.WithLabelValues(runtime),
		warmStart: m.warmStarts.WithLabelValues(runtime),
		byError:   make(map[string]prometheus.Counter),
	}
	for _, status := range nimbus.InvocationStatuses() {
		if status.Ended() {
			f.byStatus[status] = m.invocations.WithLabelValues(label, runtime, string(status))
		}
	}
	return f
}

// Observe counts one call that ended.
func (f *FunctionMetrics) Observe(o Observation) {
	if counter, ok := f.byStatus[o.Status]; ok {
		counter.Inc()
	}
	switch o.Start {
	case StartCold:
		f.coldStart.Inc()
		f.cold.Observe(milliseconds(o.Duration))
	case StartWarm:
		f.warmStart.Inc()
		f.warm.Observe(milliseconds(o.Duration))
	}
	if o.ErrorType != "" {
		f.countError(o.ErrorType)
	}
}

func (f *FunctionMetrics) countError(errorType string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deleted {
		return // WithLabelValues would bring the series back
	}
	label := strings.ToValidUTF8(errorType[:min(len(errorType), maxErrorTypeLen)], "")
	counter, ok := f.byError[label]
	if !ok {
		counter = f.errorCounter(label)
	}
	counter.Inc()
}

// errorCounter is called with mu held.
func (f *FunctionMetrics) errorCounter(label string) prometheus.Counter {
	known := slices.Contains(nimbus.ErrorTypes(), label)
	if !known && f.minted >= maxErrorTypes {
		return f.failures.WithLabelValues(f.label, otherLabel)
	}
	if !known {
		f.minted++
	}
	counter := f.failures.WithLabelValues(f.label, label)
	f.byError[strings.Clone(label)] = counter
	return counter
}
