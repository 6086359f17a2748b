package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/configuration.md instead of comparing with it")

// The settings in docs/configuration.md stand between these lines; what is around them is written by hand.
const (
	documentPath  = "../../docs/configuration.md"
	documentBegin = "<!-- settings: go test ./internal/config -update -->\n"
	documentEnd   = "<!-- end of settings -->\n"
)

func TestDocument(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(documentPath)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(content), documentBegin)
	written, after, okEnd := strings.Cut(rest, documentEnd)
	if !ok || !okEnd {
		t.Fatalf("%s lacks %q or %q", documentPath, documentBegin, documentEnd)
	}
	want := documentTable()
	if *update {
		if err := os.WriteFile(documentPath, []byte(before+documentBegin+want+documentEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, written); diff != "" {
		t.Errorf("%s is out of date; run go test ./internal/config -update (-want +got):\n%s", documentPath, diff)
	}
}

func documentTable() string {
	var b strings.Builder
	b.WriteString("| key | default | value | reload | meaning |\n| --- | --- | --- | --- | --- |\n")
	for _, key := range Describe() {
		def := "–"
		if key.Default != "" {
			def = "`" + key.Default + "`"
		}
		when := "restart"
		if key.Live {
			when = "live"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", key.Name, def, key.Bound, when, key.Meaning)
	}
	return b.String()
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	names, twins := make(map[string]bool), make(map[string]bool)
	for _, key := range Describe() {
		if names[key.Name] || twins[key.Env] || key.Meaning == "" || key.Bound == "" {
			t.Errorf("%+v is there twice, or says too little", key)
		}
		names[key.Name], twins[key.Env] = true, true
		for _, taken := range clientVariables() {
			if key.Env == taken {
				t.Errorf("%s is the command line's", taken)
			}
		}
	}
	if !twins["NIMBUS_SERVER_TLS_CERT_FILE"] || !names["server.tls.cert_file"] {
		t.Error("server.tls.cert_file has no twin NIMBUS_SERVER_TLS_CERT_FILE")
	}
}
