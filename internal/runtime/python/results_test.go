package python_test

import (
	"fmt"
	"strings"
	"testing"

	"nimbus/internal/runtime/runtimetest"
	"nimbus/internal/wire"
)

// TestResults runs many small handlers in one instance: event["f"] names the one to call.
func TestResults(t *testing.T) {
	t.Parallel()
	i := function(t, `
import datetime, decimal

class Custom: pass

def echo(x): return x
def emoji(x): return "héllo 🎉 " + x
def surrogate(x): return {"s": "a\ud800b", "t": "é"}
def nul(x): return "a\0b"
def tuples(x): return (1, 2.5, (True, None))
def keys(x): return {1: "a", None: "b", True: "c", 2.5: "d"}
def big_int(x): return 2 ** 200
def none(x): return None
def date(x): return {"at": datetime.date(2026, 1, 1)}
def raw(x): return b"bytes"
def custom(x): return [Custom()]
def nan(x): return float("nan")
def tuple_key(x): return {(1, 2): 3}
def circular(x):
    a = []
    a.append(a)
    return a
def deep(x):
    a = []
    for _ in range(100000): a = [a]
    return a
def huge_int(x): return 10 ** 10000

def handle(event):
    return globals()[event["f"]](event.get("x"))
`)
	results := map[string]string{
		`{"f":"echo","x":{"a":[1,2.5,"x",null,true],"b":{}}}`: `{"a":[1,2.5,"x",null,true],"b":{}}`,
		`{"f":"echo","x":"\ud83c\udf89 \u0000 \u00e9"}`:       `"🎉 \u0000 é"`,
		`{"f":"echo","x":"\ud800"}`:                           `"\ud800"`,
		`{"f":"emoji","x":"日本"}`:                              `"héllo 🎉 日本"`,
		`{"f":"surrogate"}`:                                   `{"s":"a\ud800b","t":"\u00e9"}`,
		`{"f":"nul"}`:                                         `"a\u0000b"`,
		`{"f":"tuples"}`:                                      `[1,2.5,[true,null]]`,
		`{"f":"keys"}`:                                        `{"1":"c","null":"b","2.5":"d"}`,
		`{"f":"big_int"}`:                                     `1606938044258990275541962092341162602522202993782792835301376`,
		`{"f":"none"}`:                                        `null`,
	}
	for event, want := range results {
		i.Want(t, event, want)
	}
	failures := map[string]string{
		"date":      "Object of type date is not JSON serializable",
		"raw":       "Object of type bytes is not JSON serializable",
		"custom":    "Object of type Custom is not JSON serializable",
		"nan":       "Out of range float values are not JSON compliant",
		"tuple_key": "not tuple",
		"circular":  "Circular reference",
		"deep":      "recursion",
	}
	for f, message := range failures {
		meta := i.WantError(t, fmt.Sprintf(`{"f":%q}`, f), "Runtime.MarshalError", message)
		if len(meta.Stack) > 0 {
			t.Errorf("%s: a stack of ours was shown: %q", f, meta.Stack)
		}
	}
	i.WantError(t, `{"f":`, "Runtime.UnmarshalError", "Unable to unmarshal input")
	i.WantError(t, strings.Repeat("[", 200_000), "Runtime.UnmarshalError", "Unable to unmarshal input")
	i.WantError(t, "\"\xff\"", "Runtime.UnmarshalError", "Unable to unmarshal input")
	i.Want(t, `{"f":"echo","x":1}`, `1`)
}

func TestSixMegabytesInAndOut(t *testing.T) {
	t.Parallel()
	i := function(t, "def handle(event): return event")
	event := `"` + strings.Repeat("x", 6<<20-2) + `"`
	i.Want(t, event, event)
	i.Want(t, `1`, `1`)
}

func TestResponseOverItsBound(t *testing.T) {
	t.Parallel()
	i := blank(t)
	i.WriteFile(t, "handler.py", `
def handle(event):
    if event == "generator":
        return (i for i in range(10**9))
    return "x" * event
`)
	i.Init(t, wire.InitMsg{MaxResponse: 100, MaxStream: 1000})
	i.Want(t, `98`, `"`+strings.Repeat("x", 98)+`"`)
	i.WantError(t, `99`, "Function.ResponseSizeTooLarge", "the response is 101 bytes, over the bound of 100")
	i.WantError(t, `"generator"`, "Function.ResponseSizeTooLarge", "over the bound of 100")
}

func TestManyCallsOneAfterAnother(t *testing.T) {
	t.Parallel()
	i := function(t, "n = 0\ndef handle(event):\n    global n\n    n += 1\n    return [n, event]\n")
	for n := 1; n <= 1000; n++ {
		i.Want(t, fmt.Sprint(n), fmt.Sprintf("[%d,%d]", n, n))
	}
}

func TestPingAndStop(t *testing.T) {
	t.Parallel()
	i := blank(t)
	if err := i.Conn.Ping(runtimetest.Context(t)); err != nil {
		t.Fatalf("ping of a blank: %v", err)
	}
	i.WriteFile(t, "handler.py", `
import atexit, threading, time
atexit.register(print, "said goodbye")
def handle(event):
    threading.Thread(target=time.sleep, args=(3600,)).start()
    return 1
`)
	i.Init(t, wire.InitMsg{})
	i.Want(t, `0`, `1`)
	if err := i.Conn.Ping(runtimetest.Context(t)); err != nil {
		t.Fatalf("ping: %v", err)
	}
	if err := i.Conn.Stop(runtimetest.Context(t)); err != nil {
		t.Fatal(err)
	}
	if err := i.Cmd.Wait(); err != nil {
		t.Errorf("stopped: %v, want exit status 0", err)
	}
	if !strings.Contains(i.Printed(), "said goodbye") {
		t.Errorf("exit functions did not run; printed %q", i.Printed())
	}
}

func TestEndsWithThePlatform(t *testing.T) {
	t.Parallel()
	i := function(t, "def handle(event): return 1")
	if err := i.Conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := i.Cmd.Wait(); err != nil {
		t.Errorf("after the end of the connection: %v", err)
	}
}
