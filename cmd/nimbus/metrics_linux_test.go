package main

import (
	"net/http"
	"regexp"
	"testing"
	"time"

	"nimbus/internal/testenv"
)

func TestEveryMetricCounts(t *testing.T) {
	t.Parallel()
	s := startConfigured(t, "server: {shutdown_timeout: 0s}\nscheduler: {queue_size: 1}")
	s.deploy("works", "def handle(e):\n return 1\n")
	s.deploy("raises", "def handle(e):\n raise ValueError('no')\n")
	s.deploy("slow", "import time\ndef handle(e):\n time.sleep(20)\n", "--max-concurrency", "1", "--timeout-sec", "60")
	for range 3 {
		s.invoke("works", "")
	}
	s.invoke("raises", "")
	for _, held := range []int{0, 1} { // one runs, and then one is held: both at once could meet in the queue of one
		go func() {
			if resp, err := http.Post(s.url+"/api/v1/functions/slow/invoke", "", nil); err == nil {
				resp.Body.Close()
			}
		}()
		testenv.Eventually(t, 30*time.Second, func() bool {
			return s.gauge("nimbus_scheduler_queue_size") == held && s.gauge("nimbus_scheduler_workers") == 1
		})
	}
	if status, _, _ := s.request(http.MethodPost, "/api/v1/functions/slow/invoke", ""); status != http.StatusTooManyRequests {
		t.Errorf("a call over scheduler.queue_size is answered with %d", status)
	}
	_, _, metrics := s.request(http.MethodGet, "/metrics", "")
	wrong := false
	id := `\{function_id="[0-9a-f-]{36}",`
	for _, want := range []string{
		`nimbus_invocations_total` + id + `runtime="python3\.\d+",status="success"\} 3`,
		`nimbus_invocations_total` + id + `runtime="python3\.\d+",status="failed"\} 1`,
		`nimbus_invocation_duration_ms_count\{cold_start="true",` + id[2:] + `runtime="python3\.\d+"\} 1`,
		`nimbus_invocation_duration_ms_count\{cold_start="false",` + id[2:] + `runtime="python3\.\d+"\} 2`,
		`nimbus_invocation_errors_total\{error_type="ValueError",function_id="[0-9a-f-]{36}"\} 1`,
		`nimbus_vm_pool_size\{runtime="python3\.\d+"\} [1-9]\d*`,
		`nimbus_vm_pool_warm\{runtime="python3\.\d+"\} [1-9]\d*`,
		`nimbus_vm_pool_busy\{runtime="python3\.\d+"\} 1`,
		`nimbus_cold_starts_total\{runtime="python3\.\d+"\} 2`,
		`nimbus_warm_starts_total\{runtime="python3\.\d+"\} 2`,
		`nimbus_vm_boot_duration_ms_count\{from_snapshot="false",runtime="python3\.\d+"\} [1-9]\d*`,
		`nimbus_cold_start_phase_ms_count\{phase="hold",runtime="python3\.\d+"\} 2`,
		`nimbus_cold_start_phase_ms_count\{phase="claim",runtime="python3\.\d+"\} 2`,
		`nimbus_cold_start_phase_ms_count\{phase="attach",runtime="python3\.\d+"\} 2`,
		`nimbus_cold_start_phase_ms_count\{phase="init",runtime="python3\.\d+"\} 2`,
		`nimbus_cold_start_phase_ms_count\{phase="route",runtime="python3\.\d+"\} 2`,
		`nimbus_cold_start_phase_ms_count\{phase="admit",runtime="python3\.\d+"\} 2`,
		`nimbus_invocations_rejected_total\{reason="too_many_requests"\} 1`,
		`nimbus_spans_dropped_total 0`,
		`nimbus_scheduler_queue_size 1`,
		`nimbus_scheduler_workers 1`,
		`nimbus_http_requests_total\{code="200"\} [1-9]\d*`,
		`nimbus_http_requests_total\{code="201"\} 3`,
		`nimbus_records_dropped_total 0`,
		`nimbus_log_lines_dropped_total 0`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).Match(metrics) {
			t.Errorf("no %s", want)
			wrong = true
		}
	}
	if wrong {
		t.Logf("%s", metrics)
	}
}
