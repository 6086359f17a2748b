package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTelemetryEndpoint(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		address, path string
		plain         bool
	}{
		"http://collector:4318":             {"collector:4318", "", true},
		"http://collector":                  {"collector:80", "", true},
		"https://collector/otlp/v1/traces/": {"collector:443", "/otlp/v1/traces", false},
		"https://[::1]:4318":                {"[::1]:4318", "", false},
		"collector:4317":                    {"collector:4317", "", false},
		"127.0.0.1:4317":                    {"127.0.0.1:4317", "", false},
	} {
		cfg, err := Load(Sources{Environ: []string{"NIMBUS_TELEMETRY_OTLP_ENDPOINT=" + text}})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if address, path := cfg.Telemetry.OTLP.Address(); address != want.address || path != want.path || cfg.Telemetry.OTLP.Plain() != want.plain {
			t.Errorf("%s: %s %s, plain %t", text, address, path, cfg.Telemetry.OTLP.Plain())
		}
	}
	for _, text := range []string{"collector", ":4317", "http://", "ftp://collector:1", "collector:0", "collector:99999", "collector:x",
		"http://user:password@collector", "http://collector?a=b", "collector:4317/v1/traces"} {
		if _, err := Load(Sources{Environ: []string{"NIMBUS_TELEMETRY_OTLP_ENDPOINT=" + text}}); err == nil || !strings.Contains(err.Error(), "host:port") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTelemetryInsecure(t *testing.T) {
	t.Parallel()
	cfg, err := Load(Sources{Environ: []string{"NIMBUS_TELEMETRY_OTLP_ENDPOINT=c:4317", "NIMBUS_TELEMETRY_OTLP_INSECURE=true"}})
	if err != nil || !cfg.Telemetry.OTLP.Plain() {
		t.Errorf("%+v, %v", cfg.Telemetry, err)
	}
	_, err = Load(Sources{Environ: []string{"NIMBUS_TELEMETRY_OTLP_ENDPOINT=https://c", "NIMBUS_TELEMETRY_OTLP_INSECURE=true"}})
	if err == nil || !strings.Contains(err.Error(), "contradicts") {
		t.Errorf("https without TLS: %v", err)
	}
}

func TestTelemetryHeaders(t *testing.T) {
	t.Parallel()
	cfg, err := Load(Sources{Environ: []string{"NIMBUS_TELEMETRY_OTLP_HEADERS=X-Key = se=cret , other=,"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"x-key": "se=cret", "other": ""}, cfg.Telemetry.OTLP.Headers); diff != "" {
		t.Error(diff)
	}
	_, err = Load(Sources{Environ: []string{"NIMBUS_TELEMETRY_OTLP_HEADERS=hush hush"}})
	if err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "name=value") {
		t.Errorf("a wrong header: %v", err)
	}
}

func TestTelemetryRatio(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{"0": true, "1": true, "0.25": true, "1.01": false, "-0.1": false, "NaN": false, "half": false, "": false} {
		cfg, err := Load(Sources{Environ: []string{"NIMBUS_TELEMETRY_SAMPLE_RATIO=" + text}})
		if (err == nil) != ok || text == "0.25" && cfg.Telemetry.SampleRatio != 0.25 {
			t.Errorf("%q: %g, %v", text, cfg.Telemetry.SampleRatio, err)
		}
	}
}
