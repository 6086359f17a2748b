package obs

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"nimbus"
)

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if answer.Code != 200 {
		t.Fatalf("scrape: %d %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

func wantLines(t *testing.T, scraped string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(scraped, "\n"+line+"\n") {
			t.Errorf("the scrape lacks %s", line)
		}
	}
}

func TestMetricNames(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	id := nimbus.NewID()
	f := m.Function(id, "python3.11")
	f.Observe(Observation{Status: nimbus.InvocationSuccess, Duration: 1200 * time.Microsecond, Start: StartCold})
	f.Observe(Observation{Status: nimbus.InvocationSuccess, Start: StartWarm, Duration: 300 * time.Microsecond})
	f.Observe(Observation{Status: nimbus.InvocationFailed, ErrorType: "ValueError", Start: StartWarm, Duration: time.Millisecond})
	m.ObserveBoot("python3.11", 3*time.Millisecond)
	m.ObserveColdStart("python3.11", nimbus.Phases{Claim: 200 * time.Microsecond, Init: time.Millisecond})
	f.Observe(Observation{Status: nimbus.InvocationCancelled}) // while it waited
	m.CountRejection(nimbus.Errorf(nimbus.CodeTooManyRequests, "busy"))
	m.CountRequest(200)
	m.CountRequest(200)
	m.CountRequest(7)
	m.RecordsDropped.Inc()
	m.LogLinesDropped.Add(3)
	m.SpansDropped.Add(2)
	m.WatchPool(func() []PoolGauge { return []PoolGauge{{Runtime: "python3.11", Size: 5, Warm: 3, Busy: 2}} })
	m.WatchQueue(func() QueueGauge { return QueueGauge{Held: 7, Workers: 4} })
	label := fmt.Sprintf(`function_id="%s"`, id)
	wantLines(t, scrape(t, m),
		`nimbus_invocations_total{`+label+`,runtime="python3.11",status="success"} 2`,
		`nimbus_invocations_total{`+label+`,runtime="python3.11",status="failed"} 1`,
		`nimbus_invocations_total{`+label+`,runtime="python3.11",status="timeout"} 0`,
		`nimbus_invocations_total{`+label+`,runtime="python3.11",status="cancelled"} 1`,
		`nimbus_invocations_rejected_total{reason="too_many_requests"} 1`,
		`nimbus_invocation_duration_ms_bucket{cold_start="false",`+label+`,runtime="python3.11",le="0.5"} 1`,
		`nimbus_invocation_duration_ms_sum{cold_start="true",`+label+`,runtime="python3.11"} 1.2`,
		`nimbus_invocation_errors_total{error_type="ValueError",`+label+`} 1`,
		`nimbus_cold_starts_total{runtime="python3.11"} 1`,
		`nimbus_warm_starts_total{runtime="python3.11"} 2`,
		`nimbus_vm_boot_duration_ms_sum{from_snapshot="false",runtime="python3.11"} 3`,
		`nimbus_cold_start_phase_ms_sum{phase="claim",runtime="python3.11"} 0.2`,
		`nimbus_cold_start_phase_ms_sum{phase="init",runtime="python3.11"} 1`,
		`nimbus_cold_start_phase_ms_count{phase="hold",runtime="python3.11"} 1`,
		`nimbus_cold_start_phase_ms_count{phase="attach",runtime="python3.11"} 1`,
		`nimbus_cold_start_phase_ms_count{phase="route",runtime="python3.11"} 1`,
		`nimbus_cold_start_phase_ms_count{phase="admit",runtime="python3.11"} 1`,
		`nimbus_http_requests_total{code="200"} 2`,
		`nimbus_http_requests_total{code="other"} 1`,
		`nimbus_records_dropped_total 1`,
		`nimbus_log_lines_dropped_total 3`,
		`nimbus_spans_dropped_total 2`,
		`nimbus_vm_pool_size{runtime="python3.11"} 5`,
		`nimbus_vm_pool_warm{runtime="python3.11"} 3`,
		`nimbus_vm_pool_busy{runtime="python3.11"} 2`,
		`nimbus_scheduler_queue_size 7`,
		`nimbus_scheduler_workers 4`,
	)
}

func TestFunctionLabelsAreBounded(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	if m.maxFunctions != 1000 {
		t.Errorf("%d functions may have series, 1000 should", m.maxFunctions)
	}
	m.maxFunctions = 10
	ids := make([]nimbus.ID, m.maxFunctions+2)
	for i := range ids {
		ids[i] = nimbus.NewID()
		m.Function(ids[i], "python3.11").Observe(Observation{Status: nimbus.InvocationSuccess})
	}
	wantLines(t, scrape(t, m), `nimbus_invocations_total{function_id="other",runtime="python3.11",status="success"} 2`)

	gone := m.Function(ids[0], "python3.11")
	m.DeleteFunction(ids[0])
	gone.Observe(Observation{Status: nimbus.InvocationFailed, ErrorType: "LateError"})
	if scraped := scrape(t, m); strings.Contains(scraped, ids[0].String()) {
		t.Error("a deleted function still has series")
	}
	m.Function(ids[m.maxFunctions], "python3.11").Observe(Observation{Status: nimbus.InvocationSuccess})
	wantLines(t, scrape(t, m), fmt.Sprintf(
		`nimbus_invocations_total{function_id="%s",runtime="python3.11",status="success"} 1`, ids[m.maxFunctions]))
}

func TestErrorTypesAreBounded(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	id := nimbus.NewID()
	f := m.Function(id, "python3.11")
	for i := range maxErrorTypes + 5 {
		f.Observe(Observation{Status: nimbus.InvocationFailed, ErrorType: fmt.Sprintf("Minted%d", i)})
	}
	f.Observe(Observation{Status: nimbus.InvocationTimeout, ErrorType: nimbus.ErrorTypeTimeout})
	f.Observe(Observation{Status: nimbus.InvocationFailed, ErrorType: "Minted3"})
	label := fmt.Sprintf(`function_id="%s"`, id)
	wantLines(t, scrape(t, m),
		`nimbus_invocation_errors_total{error_type="Minted3",`+label+`} 2`,
		`nimbus_invocation_errors_total{error_type="Timeout",`+label+`} 1`,
		`nimbus_invocation_errors_total{error_type="other",`+label+`} 5`,
	)
	hostile := m.Function(nimbus.NewID(), "python3.11")
	hostile.Observe(Observation{Status: nimbus.InvocationFailed, ErrorType: "\xff\x00" + strings.Repeat("é", 4000)})
	scrape(t, m)
}

func TestMetricsHammer(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	ids := []nimbus.ID{nimbus.NewID(), nimbus.NewID(), nimbus.NewID()}
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			for n := range 300 {
				id := ids[(i+n)%len(ids)]
				m.Function(id, "python3.11").Observe(Observation{Status: nimbus.InvocationFailed, ErrorType: "E", Start: StartWarm})
				m.CountRequest(200 + n%5)
				if i == 0 {
					m.DeleteFunction(id)
				}
			}
		})
	}
	callers.Wait()
	wantLines(t, scrape(t, m), `nimbus_warm_starts_total{runtime="python3.11"} 2400`)
}

func BenchmarkObserve(b *testing.B) {
	m := NewMetrics()
	id := nimbus.NewID()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Function(id, "python3.11").Observe(Observation{Status: nimbus.InvocationSuccess, Start: StartWarm, Duration: time.Millisecond})
		}
	})
}
