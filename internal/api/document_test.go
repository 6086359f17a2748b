package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"nimbus"
	"nimbus/internal/obs"
	"nimbus/internal/problem"
)

// openAPI is what the tests look at of the document.
type openAPI struct {
	OpenAPI string                          `json:"openapi"`
	Paths   map[string]map[string]operating `json:"paths"`
}

type operating struct {
	OperationID string `json:"operationId"`
	Summary     string `json:"summary"`
	Parameters  []struct {
		Name, In string
		Required bool
		Schema   map[string]any
	}
	Responses map[string]struct {
		Description string
		Content     map[string]json.RawMessage
	}
}

func readDocument(t *testing.T) (openAPI, map[string]any) {
	t.Helper()
	w := request{method: "GET", path: "/openapi.json"}.send(t, &fakes{})
	var doc openAPI
	var loose map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &loose); err != nil {
		t.Fatal(err)
	}
	return doc, loose
}

var pathVariable = regexp.MustCompile(`\{(\w+)\}`)

func TestDocumentIsWhole(t *testing.T) {
	t.Parallel()
	doc, _ := readDocument(t)
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("openapi %s", doc.OpenAPI)
	}
	ids := map[string]bool{}
	for path, item := range doc.Paths {
		for method, op := range item {
			name := strings.ToUpper(method) + " " + path
			if op.OperationID == "" || op.Summary == "" || ids[op.OperationID] {
				t.Errorf("%s: id %q, summary %q", name, op.OperationID, op.Summary)
			}
			ids[op.OperationID] = true
			var variables, declared []string
			successes := 1
			for _, m := range pathVariable.FindAllStringSubmatch(path, -1) {
				variables = append(variables, m[1])
			}
			for _, p := range op.Parameters {
				if p.In == "path" {
					declared = append(declared, p.Name)
				}
				if p.Name == "Prefer" {
					successes = 2 // 202, for those who don't wait
				}
				if p.In == "path" != p.Required || len(p.Schema) == 0 {
					t.Errorf("%s: parameter %+v", name, p)
				}
			}
			if !slices.Equal(variables, declared) {
				t.Errorf("%s: path parameters %v", name, declared)
			}
			success := 0
			for status, answer := range op.Responses {
				_, isProblem := answer.Content[problem.ContentType]
				if (status[0] == '2') == isProblem || answer.Description == "" {
					t.Errorf("%s: answer %s is %+v", name, status, answer)
				}
				if status[0] == '2' {
					success++
				}
			}
			if _, ok := op.Responses["default"]; !ok || success != successes {
				t.Errorf("%s: answers %v", name, op.Responses)
			}
		}
	}
}

func TestEveryReferenceLeadsSomewhere(t *testing.T) {
	t.Parallel()
	_, doc := readDocument(t)
	count := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				count++
				var at any = doc
				for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
					parent, _ := at.(map[string]any)
					at = parent[step]
				}
				if at == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, child := range v {
				walk(child)
			}
		case []any:
			for _, child := range v {
				walk(child)
			}
		}
	}
	walk(doc)
	if count == 0 {
		t.Error("there is no reference")
	}
}

// TestDocumentDescribesWhatIsServed asks for every documented operation with a method that none has: only a
// path that is served can answer 405.
func TestDocumentDescribesWhatIsServed(t *testing.T) {
	t.Parallel()
	doc, _ := readDocument(t)
	for path, item := range doc.Paths {
		if strings.HasPrefix(path, "/fn/") {
			continue // the gateway's
		}
		w := request{method: "TRACE", path: pathVariable.ReplaceAllString(path, "x")}.send(t, &fakes{})
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", path, w.Code)
			continue
		}
		var documented []string
		for method := range item {
			documented = append(documented, strings.ToUpper(method))
			if method == "get" {
				documented = append(documented, "HEAD")
			}
		}
		slices.Sort(documented)
		if got := w.Header().Get("Allow"); got != strings.Join(documented, ", ") {
			t.Errorf("%s: Allow %q, documented %v", path, got, documented)
		}
	}
}

func TestResultIsDocumentedAsItIs(t *testing.T) {
	t.Parallel()
	_, names := jsonFields(&resultJSON{})
	answer := `{"request_id":"","status_code":0,"body":null` + string(appendResultTail(nil, resultWithLogs()))
	var got map[string]any
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	if have := sortedKeys(got); !slices.Equal(have, names) {
		t.Errorf("answered %v, documented %v", have, names)
	}
}

// TestEnumerationsAreTheDomains keeps the tags of the JSON types with the lists of the domain.
func TestEnumerationsAreTheDomains(t *testing.T) {
	t.Parallel()
	reg := newRegistry()
	for _, c := range []struct {
		schema   *huma.Schema
		field    string
		declared []any
	}{
		{reg.Schema(reflect.TypeFor[functionJSON](), false, ""), "status", enum(nimbus.Statuses())},
		{reg.Schema(reflect.TypeFor[functionJSON](), false, ""), "capture", enum(nimbus.Captures())},
		{reg.Schema(reflect.TypeFor[functionJSON](), false, ""), "event_format", enum(nimbus.EventFormats())},
		{reg.Schema(reflect.TypeFor[functionInput](), false, ""), "capture", enum(nimbus.Captures())},
		{reg.Schema(reflect.TypeFor[functionInput](), false, ""), "event_format", enum(nimbus.EventFormats())},
		{reg.Schema(reflect.TypeFor[invocationJSON](), false, ""), "status", enum(nimbus.InvocationStatuses())},
		{reg.Schema(reflect.TypeFor[logLineJSON](), false, ""), "stream", enum([]string{obs.StreamStdout, obs.StreamStderr, obs.StreamPlatform})},
	} {
		if got := c.schema.Properties[c.field].Enum; !slices.Equal(got, c.declared) {
			t.Errorf("%s: documented %v, declared %v", c.field, got, c.declared)
		}
	}
}

func enum[T ~string](values []T) []any { return oneOf(values).Enum }

func TestReferencePage(t *testing.T) {
	t.Parallel()
	w := request{method: "GET", path: "/docs"}.send(t, &fakes{})
	page := w.Body.String()
	doc, _ := readDocument(t)
	for path, item := range doc.Paths {
		for _, op := range item {
			if !strings.Contains(page, `id="`+op.OperationID+`"`) {
				t.Errorf("%s (%s) is not on the page", op.OperationID, path)
			}
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "http://") || strings.Contains(page, "https://") {
		t.Error("the page needs something from elsewhere")
	}
}

// BenchmarkNew is what the API adds to the start of a server.
func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		newServer(b, &fakes{}, nil, nil)
	}
}
