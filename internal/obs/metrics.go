package obs

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"nimbus"
)

// defaultFunctionLabels bounds the functions that have series of their own; those that come later share the
// function_id "other".
const defaultFunctionLabels = 1000

// otherLabel stands for what has no label of its own.
const otherLabel = "other"

// Metrics is what Prometheus scrapes. Safe for concurrent use; each value has a registry of its own.
type Metrics struct {
	RecordsDropped  prometheus.Counter // invocation records that could not be kept
	LogLinesDropped prometheus.Counter // lines of functions' logs that could not be kept
	SpansDropped    prometheus.Counter // spans that could not be exported

	maxFunctions int // with series of their own

	registry    *prometheus.Registry
	invocations *prometheus.CounterVec
	durations   *prometheus.HistogramVec
	failures    *prometheus.CounterVec
	coldStarts  *prometheus.CounterVec
	warmStarts  *prometheus.CounterVec
	boots       *prometheus.HistogramVec
	phases      *prometheus.HistogramVec
	rejections  *prometheus.CounterVec
	requests    *prometheus.CounterVec
	byCode      [600]atomic.Pointer[prometheus.Counter] // of requests, found without hashing a label

	mu        sync.RWMutex
	functions map[nimbus.ID]map[string]*FunctionMetrics // by runtime
	others    map[string]*FunctionMetrics               // by runtime, of the functions past the bound
}

// NewMetrics returns metrics with the Go runtime's and the process's among them.
func NewMetrics() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &Metrics{
		RecordsDropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nimbus_records_dropped_total", Help: "Invocation records that could not be kept."}),
		LogLinesDropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nimbus_log_lines_dropped_total", Help: "Lines of functions' logs that could not be kept."}),
		SpansDropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nimbus_spans_dropped_total", Help: "Spans that could not be exported."}),
		maxFunctions: defaultFunctionLabels,
		registry:     prometheus.NewRegistry(),
		invocations: counter("nimbus_invocations_total",
			"Invocations that ended.", "function_id", "runtime", "status"),
		durations: histogram("nimbus_invocation_duration_ms",
			"Time in the handler, in milliseconds.", callBuckets(), "function_id", "runtime", "cold_start"),
		failures: counter("nimbus_invocation_errors_total",
			"Invocations that did not succeed.", "function_id", "error_type"),
		coldStarts: counter("nimbus_cold_starts_total", "Invocations that needed a new instance.", "runtime"),
		warmStarts: counter("nimbus_warm_starts_total", "Invocations that found an instance.", "runtime"),
		boots: histogram("nimbus_vm_boot_duration_ms",
			"Time to start a blank instance, in milliseconds.", phaseBuckets(), "runtime", "from_snapshot"),
		phases: histogram("nimbus_cold_start_phase_ms",
			"Time in each phase of a cold start, in milliseconds.", phaseBuckets(), "runtime", "phase"),
		rejections: counter("nimbus_invocations_rejected_total",
			"Calls that were not accepted, for which there is no record.", "reason"),
		requests:  counter("nimbus_http_requests_total", "HTTP requests answered.", "code"),
		functions: make(map[nimbus.ID]map[string]*FunctionMetrics),
		others:    make(map[string]*FunctionMetrics),
	}
	m.registry.MustRegister(
		m.RecordsDropped, m.LogLinesDropped, m.SpansDropped, m.invocations, m.durations, m.failures, m.coldStarts, m.warmStarts,
		m.boots, m.phases, m.rejections, m.requests,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// callBuckets span a call: a tenth of a millisecond to the longest time-out.
func callBuckets() []float64 {
	return []float64{.1, .25, .5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 30_000, 300_000, 900_000}
}

// phaseBuckets span a step of starting an instance.
func phaseBuckets() []float64 {
	return []float64{.05, .1, .2, .3, .5, .75, 1, 2, 3, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 10_000}
}

// Handler serves the metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// ObserveBoot counts a blank instance that was started.
func (m *Metrics) ObserveBoot(runtime string, took time.Duration) {
	m.boots.WithLabelValues(runtime, "false").Observe(milliseconds(took))
}

// ObserveColdStart counts the phases of one cold start.
func (m *Metrics) ObserveColdStart(runtime string, p nimbus.Phases) {
	m.phases.WithLabelValues(runtime, "route").Observe(milliseconds(p.Route))
	m.phases.WithLabelValues(runtime, "admit").Observe(milliseconds(p.Admit))
	m.phases.WithLabelValues(runtime, "hold").Observe(milliseconds(p.Hold))
	m.phases.WithLabelValues(runtime, "claim").Observe(milliseconds(p.Claim))
	m.phases.WithLabelValues(runtime, "attach").Observe(milliseconds(p.Attach))
	m.phases.WithLabelValues(runtime, "init").Observe(milliseconds(p.Init))
}

// CountRejection counts a call that was not accepted, by the code of its refusal.
func (m *Metrics) CountRejection(refusal error) {
	m.rejections.WithLabelValues(string(nimbus.CodeOf(refusal))).Inc()
}

// CountRequest counts an HTTP request by the status it was answered with.
func (m *Metrics) CountRequest(code int) {
	if code < 100 || code >= len(m.byCode) {
		m.requests.WithLabelValues(otherLabel).Inc()
		return
	}
	counter := m.byCode[code].Load()
	if counter == nil {
		made := m.requests.WithLabelValues(strconv.Itoa(code))
		counter = &made
		m.byCode[code].Store(counter)
	}
	(*counter).Inc()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
