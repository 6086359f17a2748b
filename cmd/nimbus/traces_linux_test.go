package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"nimbus/internal/obs/tracing/tracingtest"
)

// TestTracesAreExported follows calls from the edge into the function, at a collector.
func TestTracesAreExported(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]func(*tracingtest.Collector) string{
		"http": func(c *tracingtest.Collector) string {
			return "{endpoint: 'http://" + c.HTTP + "', headers: 'x-key=sesame'}"
		},
		"grpc": func(c *tracingtest.Collector) string {
			return "{endpoint: '" + c.GRPC + "', protocol: grpc, insecure: true, headers: 'x-key=sesame'}"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			collector := tracingtest.Start(t)
			s := startConfigured(t, "telemetry: {service_name: tested, otlp: "+settings(collector)+"}")
			s.deploy("traced", "import os\ndef handle(e, c):\n return [c.traceparent, os.environ.get('_X_AMZN_TRACE_ID')]\n")
			s.deploy("broken", "raise ValueError('no')\ndef handle(e):\n return 1\n")
			traces := map[string]string{ // by path, of a caller who records
				"/api/v1/functions/traced/invoke": strings.Repeat("a", 32),
				"/fn/default/traced":              strings.Repeat("b", 32),
				"/api/v1/functions/broken/invoke": strings.Repeat("c", 32),
			}
			seen := make(map[string]string)
			for _, path := range []string{"/api/v1/functions/traced/invoke", "/fn/default/traced", "/api/v1/functions/broken/invoke"} {
				seen[path] = postTraced(t, s.url+path, traces[path], "")
			}
			if code := s.stop(); code != 0 {
				t.Errorf("it ended with %d", code)
			}

			byTrace := make(map[string]map[string]tracingtest.Span)
			for _, span := range collector.Spans() {
				if byTrace[span.TraceID] == nil {
					byTrace[span.TraceID] = make(map[string]tracingtest.Span)
				}
				byTrace[span.TraceID][span.Name] = span
			}
			const invoked = "POST /api/v1/functions/{id}/invoke"
			cold, warm, failed := byTrace[traces["/api/v1/functions/traced/invoke"]], byTrace[traces["/fn/default/traced"]], byTrace[traces["/api/v1/functions/broken/invoke"]]
			for name, want := range map[string]struct {
				spans  map[string]tracingtest.Span
				phases []string
				none   []string
				server string
				failed bool
			}{
				"cold":   {cold, []string{"route", "attach", "import", "run", "write"}, nil, invoked, false},
				"warm":   {warm, []string{"run", "write"}, []string{"attach", "import"}, "POST /fn/{namespace}/{name}", false},
				"broken": {failed, []string{"import"}, []string{"run"}, invoked, true},
			} {
				server := want.spans[want.server]
				if server.ParentID != strings.Repeat("1", 16) || server.Failed != want.failed || server.Service != "tested" || server.Attributes["faas.trigger"] != "http" {
					t.Errorf("%s: the request's span is %+v", name, server)
				}
				for _, phase := range want.phases {
					if span, ok := want.spans[phase]; !ok || span.ParentID != server.SpanID || span.End.Before(span.Start) {
						t.Errorf("%s: %s is %+v", name, phase, span)
					}
				}
				for _, phase := range want.none {
					if _, ok := want.spans[phase]; ok {
						t.Errorf("%s has a span %s", name, phase)
					}
				}
			}
			if !failed["import"].Failed || failed["import"].Attributes["error.type"] != "ValueError" {
				t.Errorf("the failed import is %+v", failed["import"])
			}
			// The handler was told of the span it runs in.
			for path, spans := range map[string]map[string]tracingtest.Span{"/api/v1/functions/traced/invoke": cold, "/fn/default/traced": warm} {
				run := spans["run"]
				if !strings.Contains(seen[path], `"00-`+traces[path]+"-"+run.SpanID+`-01"`) || !strings.Contains(seen[path], ";Parent="+run.SpanID+";Sampled=1") {
					t.Errorf("%s: the handler was told %s, it ran in %s", path, seen[path], run.SpanID)
				}
			}
			for _, key := range collector.Keys() {
				if key != "sesame" {
					t.Errorf("an export came with the key %q", key)
				}
			}
		})
	}
}

// postTraced posts an event within a caller's trace and returns the answer.
func postTraced(t *testing.T, url, trace, event string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(event))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Traceparent", "00-"+trace+"-"+strings.Repeat("1", 16)+"-01")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
