package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nimbus/client"
)

func TestDocumentsKeepValuesAndOrder(t *testing.T) {
	t.Parallel()
	result := client.InvokeResult{RequestID: "r", StatusCode: 200, Version: 3,
		Body: json.RawMessage(`{"z":1.10,"a":12345678901234567890,"t":"<&> ü","yes":"no","n":null,"l":[],"e":1e400}`)}
	for format, want := range map[format]string{
		formatJSON: `{
  "request_id": "r",
  "status_code": 200,
  "body": {
    "z": 1.10,
    "a": 12345678901234567890,
    "t": "<&> ü",
    "yes": "no",
    "n": null,
    "l": [],
    "e": 1e400
  },
  "duration_ms": 0,
  "cold_start": false,
  "init_ms": 0,
  "billed_time_ms": 0,
  "memory_used_mb": null,
  "cpu_ms": null,
  "version": 3,
  "alias_used": null
}
`,
		formatYAML: `request_id: r
status_code: 200
body:
  z: 1.1
  a: 12345678901234567890
  t: <&> ü
  "yes": "no"
  "n": null
  l: []
  e: 1e400
duration_ms: 0
cold_start: false
init_ms: 0
billed_time_ms: 0
memory_used_mb: null
cpu_ms: null
version: 3
alias_used: null
`,
	} {
		var out bytes.Buffer
		c := &cli{out: &out, output: format}
		if err := c.print(result, nil); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s:\n%s", format, diff)
		}
	}
}

func TestTableCellsStayInTheirLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := &cli{out: &out, output: formatTable}
	err := c.print(nil, func(t *table) {
		t.row("NAME", "ERROR")
		t.row("a\tb\nc", "\x1b[31mred")
		t.row("long name indeed", "")
	})
	want := "NAME              ERROR\na b c              [31mred\nlong name indeed  -\n"
	if err != nil || out.String() != want {
		t.Errorf("got %q, %v; want %q", out.String(), err, want)
	}
}
