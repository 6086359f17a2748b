package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nimbus/internal/testenv"
)

// stranger is a function of testdata/odd, whose events make it do what strangers' functions do.
type stranger struct {
	name     string // of the function
	dir      string
	flags    []string
	atImport string // what it is told to do at import, "" = nothing
	does     []deed
}

// deed is what a stranger's function does, and what its caller is told.
type deed struct {
	event     string // JSON, or the word that the member "do" of an object is to have
	status    int    // status_code of /invoke
	errorType string // "" = none, or anyError
	says      string // in the error, or in the body when there is none
	logged    string // in the log of the call
}

// fine is how what does no harm ends.
const fine = `"fine"`

// anyError is the type of an error where Go's runtime may notice first or the library.
const anyError = "*"

const hasty = "--timeout-sec=1"

// traced is the end of the trace that every call belongs to: in every notation it is the same.
const trace, traced = "4bf92f3577b34da6a3ce929d0e0e4736", "77b34da6a3ce929d0e0e4736"

// spilled is what a megabyte in the log has to show.
const spilled = "line of a megabyte"

var strangers = []stranger{
	{name: "py", dir: "python", does: []deed{
		{event: "trace", status: 200, says: traced},
		{event: "stream", status: 200, says: `[1,{"two":2}]`},
		{event: "memory", status: 507, errorType: "OutOfMemory", says: "256 MB"},
		{event: "disk", status: 507, errorType: "OutOfMemory", says: "256 MB"},
		{event: "timer", status: 200, says: fine},
		{event: "prints", status: 200, says: fine, logged: spilled},
		{event: "kill", status: 200, says: fine}, // the kernel lets no process kill the first of its namespace from inside
		{event: "fork", status: 200, says: fine},
		{event: "close", status: 200, says: fine},
		{event: "garbage", status: 200, says: fine},
	}},

	{name: "js", dir: "node", does: []deed{
		{event: "value", status: 200, says: "42"},
		{event: "trace", status: 200, says: traced},
		{event: "promise", status: 200, says: `"js"`},
		{event: "stream", status: 200, says: `[1,{"two":2}]`},
		{event: "throw", status: 500, errorType: "RangeError", says: "no such thing"},
		{event: "throw-string", status: 500, errorType: "string", says: "merely text"},
		{event: "reject", status: 500, errorType: "Runtime.UnhandledPromiseRejection", says: "nobody waits"},
		{event: "nothing-left", status: 500, errorType: "Runtime.NeverSettled", says: "never settle"},
		{event: "exit", status: 500, errorType: "Runtime.ExitError", says: "exit status 7"},
		{event: "abort", status: 500, errorType: "Runtime.ExitError", says: "signal"},
		{event: "memory", status: 507, errorType: "OutOfMemory", says: "256 MB"},
		{event: "disk", status: 507, errorType: "OutOfMemory", says: "256 MB"},
		{event: "large", status: 500, errorType: "Function.ResponseSizeTooLarge", says: "6291456"},
		{event: "no-json", status: 500, errorType: "Runtime.MarshalError", says: "BigInt"},
		{event: "recursion", status: 500, errorType: "RangeError", says: "call stack"},
		{event: "timer", status: 200, says: fine},
		{event: "print", status: 200, says: fine, logged: spilled},
		{event: "kill", status: 200, says: fine},
		{event: "fork", status: 200, says: fine},
		{event: "close", status: 500, errorType: "Runtime.ExitError", says: "the runtime ended"},
		{event: "garbage", status: 500, errorType: "Runtime.ProtocolError", says: "protocol"},
		{event: "missing", status: 500, errorType: "TypeError", says: "not a function"},
	}},
	{name: "js-hasty", dir: "node", flags: []string{hasty}, does: []deed{
		{event: "never", status: 504, errorType: "Timeout", says: "1.00 s"},
		{event: "spin", status: 504, errorType: "Timeout", says: "1.00 s"},
	}},
	{name: "js-throws-early", dir: "node", atImport: "throw", does: []deed{
		{event: "value", status: 500, errorType: "RangeError", says: "not today", logged: "handler.js:5"},
	}},
	{name: "js-ends-early", dir: "node", atImport: "exit", does: []deed{
		{event: "value", status: 500, errorType: "Runtime.ExitError", says: "exit status 9"},
	}},
	{name: "js-no-export", dir: "node", flags: []string{"--handler=handler.other"}, does: []deed{
		{event: "value", status: 500, errorType: "Runtime.HandlerNotFound", says: "exports the functions handle"},
	}},

	{name: "go", dir: "go", does: []deed{
		{event: "value", status: 200, says: "42"},
		{event: "trace", status: 200, says: traced},
		{event: "nothing", status: 500, errorType: "Runtime.MarshalError", says: "without a result"},
		{event: "twice", status: 500, errorType: "Runtime.MarshalError", says: "more than the one JSON value"},
		{event: "text", status: 500, errorType: "Runtime.MarshalError", says: "merely text"},
		{event: "panic", status: 500, errorType: "panic", says: "no such thing", logged: "main.go:"},
		{event: "nil", status: 500, errorType: "panic", says: "nil pointer", logged: "main.go:"},
		{event: "exit", status: 500, errorType: "Runtime.ExitError", says: "exit status 7: giving up"},
		{event: "kill", status: 500, errorType: "Runtime.ExitError", says: "137"},
		{event: "segv", status: 500, errorType: "SIGSEGV", says: "segmentation violation", logged: "goroutine"},
		{event: "memory", status: 507, errorType: "OutOfMemory", says: "256 MB"},
		{event: "recurse", status: 507, errorType: "OutOfMemory", says: "256 MB"},
		{event: "disk", status: 507, errorType: "OutOfMemory", says: "256 MB"},
		{event: "large", status: 500, errorType: "Function.ResponseSizeTooLarge", says: "6291456"},
		{event: "print", status: 200, says: fine, logged: spilled},
		{event: "fork", status: 200, says: fine},
		{event: "three", status: 200, says: fine},
	}},
	{name: "go-hasty", dir: "go", flags: []string{hasty}, does: []deed{
		{event: "never", status: 504, errorType: "Timeout", says: "1.00 s"},
	}},
	{name: "go-ends-early", dir: "go", atImport: "exit", does: []deed{
		{event: "value", status: 500, errorType: "Runtime.ExitError", says: "exit status 9: not today"},
	}},

	{name: "lambda", dir: "lambda", does: []deed{
		{event: "value", status: 200, says: "42"},
		{event: "trace", status: 200, says: traced},
		{event: "error", status: 500, errorType: "errorString", says: "no such thing"},
		{event: "panic", status: 500, errorType: "string", says: "merely text"},
		{event: "goroutine", status: 500, errorType: "panic", says: "nobody waits"},
		{event: "no-json", status: 500, errorType: "UnsupportedTypeError", says: "chan int"},
		{event: "large", status: 500, errorType: "Function.ResponseSizeTooLarge", says: "6291456"},
		{event: "exit", status: 500, errorType: "Runtime.ExitError", says: "exit status 7: giving up"},
		{event: "kill", status: 500, errorType: "Runtime.ExitError", says: "137"},
		{event: "recurse", status: 507, errorType: "OutOfMemory", says: "256 MB"},
		{event: "timer", status: 200, says: fine},
		{event: "print", status: 200, says: fine, logged: spilled},
		{event: "fork", status: 200, says: fine},
		{event: "descriptors", status: 500, errorType: anyError},
	}},
	{name: "lambda-hasty", dir: "lambda", flags: []string{hasty}, does: []deed{
		{event: "never", status: 504, errorType: "Timeout", says: "1.00 s"},
	}},
	{name: "lambda-ends-early", dir: "lambda", atImport: "exit", does: []deed{
		{event: "value", status: 500, errorType: "Runtime.ExitError", says: "exit status 9: not today"},
	}},

	{name: "sh", dir: "custom", does: []deed{
		{event: "value", status: 200, says: "42"},
		{event: "trace", status: 200, says: traced},
		{event: "stream", status: 200, says: `"one two"`},
		{event: "error", status: 500, errorType: "Odd", says: "no such thing"},
		{event: "bare", status: 500, errorType: "Runtime.Unknown", says: "merely text"},
		{event: "text", status: 200, says: `"merely text"`},
		{event: "large", status: 500, errorType: "Function.ResponseSizeTooLarge", says: "6291456"},
		{event: "twice", status: 200, says: `"first"`},
		{event: "stranger", status: 200, says: fine},
		{event: "exit", status: 500, errorType: "Runtime.ExitError", says: "exit status 7: giving up"},
		{event: "kill", status: 500, errorType: "Runtime.ExitError", says: "137"},
		{event: "segv", status: 500, errorType: "Runtime.ExitError", says: "SIGSEGV"},
		{event: "memory", status: 200, says: `"tail is gone"`}, // the one that was over it, not the bootstrap
		{event: "print", status: 200, says: fine, logged: spilled},
		{event: "fork", status: 200, says: fine},
		{event: "three", status: 200, says: fine},
	}},
	{name: "sh-hasty", dir: "custom", flags: []string{hasty}, does: []deed{
		{event: "never", status: 504, errorType: "Timeout", says: "1.00 s"},
		{event: "silent", status: 504, errorType: "Timeout", says: "1.00 s"},
	}},
	{name: "sh-ends-early", dir: "custom", atImport: "exit", does: []deed{
		{event: "value", status: 500, errorType: "Runtime.ExitError", says: "exit status 9: not today"},
	}},

	{name: "wasi", dir: "go", flags: []string{"--runtime=wasm"}, does: []deed{
		{event: "value", status: 200, says: "42"},
		{event: "trace", status: 200, says: traced},
		{event: "nothing", status: 500, errorType: "Runtime.MarshalError", says: "returned nothing"},
		{event: "twice", status: 500, errorType: "Runtime.MarshalError", says: "not a JSON value"},
		{event: "panic", status: 500, errorType: "Runtime.ExitError", says: "panic: no such thing"},
		{event: "exit", status: 500, errorType: "Runtime.ExitError", says: "exit status 7: giving up"},
		{event: "memory", status: 500, errorType: "Runtime.ExitError", says: "out of memory"},
		{event: "large", status: 500, errorType: "Function.ResponseSizeTooLarge", says: "6291456"},
		{event: "disk", status: 507, errorType: "OutOfMemory", says: "256 MB"},
		{event: "print", status: 200, says: fine, logged: spilled},
		{event: "three", status: 200, says: fine},
	}},
	{name: "wasi-hasty", dir: "go", flags: []string{"--runtime=wasm", hasty}, does: []deed{
		{event: "never", status: 504, errorType: "Timeout", says: "1.00 s"},
	}},
	{name: "reactor", dir: "reactor", does: []deed{
		{event: `"count"`, status: 200, says: "1"},
		{event: `"count"`, status: 200, says: "1"}, // nothing of the last call is left
		{event: `"unreachable"`, status: 500, errorType: "Wasm.Trap", says: "unreachable in handle"},
		{event: `"divide"`, status: 500, errorType: "Wasm.Trap", says: "divide by zero"},
		{event: `"bounds"`, status: 500, errorType: "Wasm.Trap", says: "out of bounds"},
		{event: `"recurse"`, status: 500, errorType: "Wasm.Trap", says: "stack overflow"},
		{event: `"grow and trap"`, status: 500, errorType: "Wasm.Trap", says: "235 MB"},
		{event: `"overwrite"`, status: 200, says: "7"},
		{event: `"negative"`, status: 500, errorType: "Wasm.InvalidPointer", says: "outside the module's memory"},
		{event: `"nothing"`, status: 500, errorType: "Runtime.MarshalError", says: "returned nothing"},
		{event: `"no JSON"`, status: 500, errorType: "Runtime.MarshalError", says: "hello, {world"},
		{event: `"two values"`, status: 500, errorType: "Runtime.MarshalError", says: "1 2"},
	}},
	{name: "reactor-hasty", dir: "reactor", flags: []string{hasty}, does: []deed{
		{event: `"loop"`, status: 504, errorType: "Timeout", says: "1.00 s"},
	}},
}

// tryStrangers deploys each, has it do what it does, and the first of it once more, and deletes it.
func tryStrangers(t *testing.T, s *server) {
	for _, who := range strangers {
		t.Run(who.name, func(t *testing.T) {
			t.Parallel()
			s := s.as(t)
			flags := slices.Clone(who.flags)
			if who.atImport != "" {
				flags = append(flags, "--env=AT_IMPORT="+who.atImport)
			}
			s.run(append([]string{"deploy", who.source(t), "--name", who.name}, flags...)...)
			for _, does := range who.does {
				s.checkDeed(who.name, does)
			}
			s.checkDeed(who.name, who.does[0])
			if who.atImport != "" {
				if status, _, body := s.request(http.MethodPost, "/fn/default/"+who.name, "{}"); status != http.StatusBadGateway {
					t.Errorf("its function URL answers %d %s", status, body)
				}
			}
			s.run("function", "delete", who.name, "--yes")
		})
	}
}

// source returns the directory to deploy.
func (who stranger) source(t *testing.T) string {
	t.Helper()
	if who.dir != "reactor" {
		return filepath.Join("testdata", "odd", who.dir)
	}
	return wasmFixture(t, "reactor.wasm")
}

// checkDeed calls a function and looks at what its caller is told.
func (s *server) checkDeed(name string, d deed) {
	s.t.Helper()
	event := d.event
	if !strings.HasPrefix(event, `"`) {
		event = fmt.Sprintf(`{"do":%q}`, event)
	}
	var a answer
	body := postTraced(s.t, s.url+"/api/v1/functions/"+name+"/invoke", trace, event)
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		s.t.Fatalf("%s: %v in %s", event, err, body)
	}
	told := string(a.Body)
	if d.errorType != "" {
		told = a.Error
	}
	if d.errorType == anyError && a.ErrorType != "" {
		d.errorType = a.ErrorType
	}
	if a.StatusCode != d.status || a.ErrorType != d.errorType || !strings.Contains(told, d.says) {
		s.t.Errorf("%s: status %d, error type %q, %.300s; want %d, %q, %q", event, a.StatusCode, a.ErrorType, told, d.status, d.errorType, d.says)
	}
	if d.logged != "" {
		testenv.Eventually(s.t, 10*time.Second, func() bool {
			_, _, log := s.request(http.MethodGet, "/api/v1/functions/"+name+"/logs?invocation="+a.RequestID, "")
			return bytes.Contains(log, []byte(d.logged))
		})
	}
}

// checkNothingSleeps waits for the end of what the strangers left running.
func (s *server) checkNothingSleeps() {
	s.t.Helper()
	testenv.Eventually(s.t, 10*time.Second, func() bool {
		return !slices.ContainsFunc(descendants(s.t, s.cmd.Process.Pid), func(pid int) bool {
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			return err == nil && bytes.Contains(line, []byte("1234567")) // it may have ended
		})
	})
}
