package wasm_test

import (
	"strings"
	"testing"

	"nimbus/internal/wire"
)

func TestCommandAnswers(t *testing.T) {
	t.Parallel()
	w := function(t, fixture(t, "command.wasm"), wire.InitMsg{FunctionName: "greeter", Env: map[string]string{"B": "2", "A": "1"}})
	w.wantResult(t, `{"a": [1]}`, `{"a": [1]}`)
	w.wantResult(t, `"exit 0"`, `{"done":true}`)
	w.wantResult(t, `"args"`, `["greeter"]`)
	w.wantResult(t, `"env"`, "\"A=1;B=2;HOME=/tmp;LANG=C.UTF-8;NIMBUS_CODE_DIR="+w.code+";NIMBUS_CONTEXT_FILE=/run/nimbus/context.json;NIMBUS_FUNCTION_ID=;"+
		"NIMBUS_FUNCTION_MEMORY_SIZE=128;NIMBUS_FUNCTION_NAME=greeter;NIMBUS_FUNCTION_VERSION=;NIMBUS_HANDLER=handler.wasm;NIMBUS_NAMESPACE=;TMPDIR=/tmp;\"")
	w.wantResult(t, `"log"`, `1`)
	if got := w.printed(); got != "to the log\n" {
		t.Errorf("printed %q", got)
	}
	_, first := w.call(t, `"random"`)
	if _, second := w.call(t, `"random"`); first == second || len(first) != 18 {
		t.Errorf("drew %s and %s", first, second)
	}
}

func TestCommandFailures(t *testing.T) {
	t.Parallel()
	w := function(t, fixture(t, "command.wasm"), wire.InitMsg{MaxResponse: 1 << 16})
	for event, want := range map[string][2]string{
		`"exit 3"`:  {"Runtime.ExitError", "exit status 3: wrong badly"},
		`"exit -1"`: {"Runtime.ExitError", "exit status -1"},
		`"panic"`:   {"Runtime.ExitError", "exit status 2: panic: oh no"},
		`"trap"`:    {"Wasm.Trap", "unreachable in "},
		`"silent"`:  {"Runtime.MarshalError", "nothing"},
		`"no JSON"`: {"Runtime.MarshalError", `"hello"`},
		`"flood"`:   {"Function.ResponseSizeTooLarge", "over the bound of 65536"},
	} {
		w.wantFailure(t, event, want[0], want[1])
		w.wantResult(t, `1`, `1`)
	}
	if got := w.printed(); !strings.Contains(got, "wrong badly\n") {
		t.Errorf("printed %q", got)
	}
}
