package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nimbus/internal/testenv"
)

// oddHandlers are handlers as strangers write them, and what their callers are told.
var oddHandlers = []struct {
	name, code, event string
	flags             []string
	status            int    // status_code of /invoke
	url               int    // status of the function URL
	errorType         string // "" = none
	says              string // in the error, or in the body when there is none
	logged            string // in the function's log
}{
	{name: "sync-one-argument", code: "def handle(e):\n return e['n'] + 1\n", event: `{"n":1}`, status: 200, says: "2"},
	{name: "async", code: "import asyncio\nasync def handle(e, c):\n await asyncio.sleep(0)\n return c.function_name\n",
		status: 200, url: 200, says: `"async"`},
	{name: "generator", code: "def handle(e):\n yield 1\n yield {'two': 2}\n", status: 200, says: `[1,{"two":2}]`},
	{name: "raises", code: "class Odd(ValueError): pass\ndef handle(e):\n raise Odd('no such thing')\n",
		status: 500, url: 502, errorType: "Odd", says: "no such thing", logged: "handler.py"},
	{name: "missing-handler", code: "def other(e):\n return 1\n", flags: []string{"--handler", "handler.handle"},
		status: 500, url: 502, errorType: "Runtime.HandlerNotFound", says: "other"},
	{name: "missing-module", code: "import no_such_module\ndef handle(e):\n return 1\n",
		status: 500, url: 502, errorType: "Runtime.ImportModuleError", says: "no_such_module"},
	{name: "raises-at-import", code: "raise RuntimeError('not today')\ndef handle(e):\n return 1\n",
		status: 500, url: 502, errorType: "RuntimeError", says: "not today", logged: "not today"},
	{name: "syntax-error", code: "def handle(e):\n return (\n", flags: []string{"--handler", "handler.handle"},
		status: 500, url: 502, errorType: "Runtime.UserCodeSyntaxError", says: "handler.py"},
	{name: "result-is-no-json", code: "def handle(e):\n return {1, 2}\n",
		status: 500, url: 502, errorType: "Runtime.MarshalError", says: "set"},
	{name: "noise-on-stdout", code: "import os\ndef handle(e):\n print('noise')\n os.write(1, b'\\x00\\xff\\x00raw\\n')\n return 'fine'\n",
		status: 200, url: 200, says: `"fine"`, logged: "noise"},
	{name: "unicode", code: "def handle(e):\n return e + ' 日本 🎉'\n", event: `"Grüße \u0000"`, status: 200, says: "日本 🎉"},
	{name: "os-exit", code: "import os\ndef handle(e):\n os._exit(7)\n",
		status: 500, url: 502, errorType: "Runtime.ExitError", says: "exit status 7"},
	{name: "sys-exit", code: "import sys\ndef handle(e):\n sys.exit(3)\n",
		status: 500, url: 502, errorType: "Runtime.ExitError", says: "3"},
	{name: "segfault", code: "import ctypes\ndef handle(e):\n ctypes.string_at(0)\n",
		status: 500, url: 502, errorType: "Runtime.ExitError", says: "signal 11"},
	{name: "infinite-loop", code: "def handle(e):\n while True: pass\n", flags: []string{"--timeout-sec", "1"},
		status: 504, url: 504, errorType: "Timeout", says: "1.00 s"},
	{name: "out-of-memory", code: "def handle(e):\n b = bytearray(400 << 20)\n b[::4096] = b'x' * len(b[::4096])\n return len(b)\n",
		flags: []string{"--memory-mb", "128"}, status: 507, url: 502, errorType: "OutOfMemory", says: "128 MB"},
	{name: "deep-recursion", code: "def f(): return f()\ndef handle(e):\n return f()\n",
		status: 500, url: 502, errorType: "RecursionError", says: "recursion"},
	{name: "result-too-large", code: "def handle(e):\n return 'x' * (7 << 20)\n",
		status: 500, url: 502, errorType: "Function.ResponseSizeTooLarge", says: "6291456"},
}

func TestOddHandlers(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	for _, tc := range oddHandlers {
		t.Run(tc.name, func(t *testing.T) {
			s := s.as(t)
			s.deploy(tc.name, tc.code, tc.flags...)
			for range 2 { // the platform is well afterwards, for the same function too
				checkOutcome(t, s.invoke(tc.name, tc.event), tc.status, tc.errorType, tc.says)
			}
			if tc.url != 0 {
				if status, _, body := s.request(http.MethodPost, "/fn/default/"+tc.name, tc.event); status != tc.url {
					t.Errorf("the function URL answers %d %s, want %d", status, body, tc.url)
				}
			}
			if tc.logged != "" {
				testenv.Eventually(t, 5*time.Second, func() bool { return strings.Contains(s.run("logs", tc.name), tc.logged) })
			}
		})
	}
}

func checkOutcome(t *testing.T, a answer, status int, errorType, says string) {
	t.Helper()
	told := string(a.Body)
	if errorType != "" {
		told = a.Error
	}
	if a.StatusCode != status || a.ErrorType != errorType || !strings.Contains(told, says) {
		t.Errorf("status %d, error type %q, %s; want %d, %q, %q", a.StatusCode, a.ErrorType, told, status, errorType, says)
	}
	if errorType == "Timeout" && (a.DurationMS < 990 || a.DurationMS > 1500) {
		t.Errorf("it was ended after %.0f ms", a.DurationMS)
	}
}

func TestLargestEventAndResult(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	s.deploy("echo", "def handle(e):\n return e\n")
	const size = 6<<20 - 2 // and the quotes
	event := `"` + strings.Repeat("x", size) + `"`
	if a := s.invoke("echo", event); string(a.Body) != event {
		t.Errorf("status %d, a body of %d bytes came back as %d: %s", a.StatusCode, len(event), len(a.Body), a.Error)
	}
	status, _, body := s.request(http.MethodPost, "/api/v1/functions/echo/invoke", `"`+strings.Repeat("x", size+1)+`"`)
	if status != http.StatusRequestEntityTooLarge || !strings.Contains(string(body), "6 MiB") {
		t.Errorf("one byte more answers %d %.300s", status, body)
	}
	status, _, body = s.request(http.MethodPost, "/api/v1/functions/echo/invoke", `{"not json`)
	if status != http.StatusBadRequest {
		t.Errorf("an event that is no JSON answers %d %s", status, body)
	}
	if a := s.invoke("echo", ""); string(a.Body) != "null" {
		t.Errorf("no event came back as %s", a.Body)
	}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	s.deploy("count", `
import time
def handle(e):
    yield {"statusCode": 201, "headers": {"content-type": "text/plain", "x-mine": "yes"}}
    yield "one\n"
    while not __import__("os").path.exists("/tmp/never"):
        time.sleep(0.3)
        yield "more\n"
        break
    yield b"last\n"
`)
	resp, err := http.Get(s.url + "/fn/default/count")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 201 || resp.Header.Get("X-Mine") != "yes" || resp.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("the prelude became %d %v", resp.StatusCode, resp.Header)
	}
	lines := bufio.NewScanner(resp.Body)
	var got []string
	var first time.Duration
	begun := time.Now()
	for lines.Scan() {
		if len(got) == 0 {
			first = time.Since(begun)
		}
		got = append(got, lines.Text())
	}
	if strings.Join(got, " ") != "one more last" {
		t.Errorf("the stream was %v", got)
	}
	if took := time.Since(begun); took-first < 200*time.Millisecond {
		t.Errorf("the first item came after %v of %v: it was not streamed", first, took)
	}
	if resp.Trailer.Get("X-Nimbus-Duration-Ms") == "" {
		t.Errorf("the trailers are %v", resp.Trailer)
	}
}

// A handler in the shape of the public benchmark suites: its own file and function name, an event that is
// read with event['…'] and a result that is a dict; its dependencies are the standard library.
func TestStrangersFunctionDeploysUnchanged(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	dir := filepath.Join(t.TempDir(), "float-operation")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	const code = `
import math
from time import time

def float_operations(n):
    start = time()
    for i in range(0, n):
        sin_i = math.sin(i)
        cos_i = math.cos(i)
        sqrt_i = math.sqrt(i)
    latency = time() - start
    return latency

def lambda_handler(event, context):
    n = int(event['n'])
    result = float_operations(n)
    print(result)
    return {'latency': result, 'id': context.aws_request_id}
`
	if err := os.WriteFile(filepath.Join(dir, "lambda_function.py"), []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	s.run("deploy", dir, "--handler", "lambda_function.lambda_handler")
	a := s.invoke("float-operation", `{"n":"1000"}`)
	var body struct {
		Latency float64
		ID      string
	}
	if err := json.Unmarshal(a.Body, &body); err != nil || a.StatusCode != 200 || body.Latency <= 0 || body.ID != a.RequestID {
		t.Errorf("it answers %+v (%s), %v", a, a.Body, err)
	}
}

func TestUpdateSwitchesAtomically(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	s.deploy("switch", "def handle(e, c):\n return [1, c.function_version]\n")
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
			}
			a := s.invoke("switch", "")
			if got := string(a.Body); a.StatusCode != 200 || (got != `[1,"1"]` && got != `[2,"2"]`) {
				t.Errorf("in the middle of an update it answers %d %s %s", a.StatusCode, got, a.Error)
			}
		}
	}()
	s.deploy("switch", "def handle(e, c):\n return [2, c.function_version]\n")
	if a := s.invoke("switch", ""); string(a.Body) != `[2,"2"]` || a.Version != 2 {
		t.Errorf("after the update it answers %+v %s", a, a.Body)
	}
	if out, err := s.try("function", "update", "switch", "--memory-mb", "64"); err == nil || !strings.Contains(out, "128") {
		t.Errorf("an update out of bounds: %v %s", err, out)
	}
	if a := s.invoke("switch", ""); string(a.Body) != `[2,"2"]` {
		t.Errorf("after a failed update it answers %s", a.Body)
	}
	close(stop)
	<-ended
}
