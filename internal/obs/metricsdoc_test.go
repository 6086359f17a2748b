package obs

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

var update = flag.Bool("update", false, "write the metrics into docs/operations.md instead of comparing with it")

// The metrics in docs/operations.md stand between these lines; what is around them is written by hand.
const (
	metricsDocument = "../../docs/operations.md"
	metricsBegin    = "<!-- metrics: go test ./internal/obs -update -->\n"
	metricsEnd      = "<!-- end of metrics -->\n"
)

func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(metricsDocument)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(content), metricsBegin)
	written, after, okEnd := strings.Cut(rest, metricsEnd)
	if !ok || !okEnd {
		t.Fatalf("%s lacks %q or %q", metricsDocument, metricsBegin, metricsEnd)
	}
	want := metricsTable(t)
	if *update {
		if err := os.WriteFile(metricsDocument, []byte(before+metricsBegin+want+metricsEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, written); diff != "" {
		t.Errorf("%s is out of date; run go test ./internal/obs -update (-want +got):\n%s", metricsDocument, diff)
	}
}

// described is the text of a prometheus.Desc, which tells what it holds in no other way.
var described = regexp.MustCompile(`fqName: "(nimbus_\w+)", help: "([^"]*)", .*variableLabels: \{([^}]*)\}`)

// metricsTable lists every metric of Nimbus' own.
func metricsTable(t *testing.T) string {
	t.Helper()
	m := NewMetrics()
	m.WatchPool(func() []PoolGauge { return nil })
	m.WatchQueue(func() QueueGauge { return QueueGauge{} })
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		m.registry.Describe(descs)
	}()
	var rows []string
	for desc := range descs {
		if found := described.FindStringSubmatch(desc.String()); found != nil {
			labels := "–"
			if found[3] != "" {
				labels = "`" + strings.ReplaceAll(found[3], ",", "`, `") + "`"
			}
			rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", found[1], labels, found[2]))
		}
	}
	slices.Sort(rows)
	if len(rows) < 15 {
		t.Fatalf("only %d metrics are described", len(rows))
	}
	return "| metric | labels | meaning |\n| --- | --- | --- |\n" + strings.Join(rows, "")
}
