//go:build linux

package agent_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"nimbus/internal/testenv"
	"nimbus/internal/wire"
)

// onStdin returns an instance of testdata/stdin.
func onStdin(t testing.TB, env map[string]string) *instance {
	t.Helper()
	i := unstarted(t, "go", "stdin")
	if meta := i.init(t, env); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	return i
}

// unstarted returns a blank with a program of testdata as its code.
func unstarted(t testing.TB, role, dir string, by ...string) *instance {
	t.Helper()
	program := build(t, dir)
	i := blank(t, role, by...)
	name := map[string]string{"go": "main", "custom": "bootstrap"}[role]
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	i.write(t, name, string(content), 0o755)
	return i
}

func do(t testing.TB, what, text string, size int) string {
	t.Helper()
	event, err := json.Marshal(map[string]any{"do": what, "text": text, "size": size})
	if err != nil {
		t.Fatal(err)
	}
	return string(event)
}

func TestStdin(t *testing.T) {
	t.Parallel()
	i := onStdin(t, nil)
	for _, event := range []string{`null`, `1`, `{"a":[1,2,3]}`, `"ä€𝄞"`, `"` + strings.Repeat("x", 700_000) + `"`} {
		i.want(t, event, event) // byte for byte
	}
	i.want(t, do(t, "text", " [1]\n\n", 0), "[1]")
	i.want(t, do(t, "large", "", maxResponse-2), `"`+strings.Repeat("x", maxResponse-2)+`"`)
	i.want(t, do(t, "close", "", 0), `"early"`)
	i.want(t, do(t, "log", "a line", 0), "null")
	i.wantPrinted(t, "a line\n")
	i.wantPrinted(t, "still here\n")
}

func TestStdinFailures(t *testing.T) {
	t.Parallel()
	i := onStdin(t, nil)
	tests := map[string]struct{ event, kind, part string }{
		"nothing":        {do(t, "text", "", 0), "Runtime.MarshalError", "without a result"},
		"blanks":         {do(t, "text", " \n", 0), "Runtime.MarshalError", "without a result"},
		"no JSON":        {do(t, "text", "Hello, Ada!", 0), "Runtime.MarshalError", `begins "Hello, Ada!"`},
		"half of it":     {do(t, "text", `{"a":`, 0), "Runtime.MarshalError", `cut short: "{\"a\":"`},
		"two values":     {do(t, "text", "{\"a\":1}\nlogged", 0), "Runtime.MarshalError", `behind it comes "logged"`},
		"much":           {do(t, "text", strings.Repeat("€", 1000), 0), "Runtime.MarshalError", `€"…`},
		"too large":      {do(t, "large", "", maxResponse), "Function.ResponseSizeTooLarge", "over the bound of 1048576"},
		"a status":       {do(t, "exit", "the last line", 3), "Runtime.ExitError", "exit status 3: the last line"},
		"status 2":       {do(t, "exit", "no panic", 2), "Runtime.ExitError", "exit status 2: no panic"},
		"a signal":       {do(t, "term", "", 0), "Runtime.ExitError", "killed by signal 15 (SIGTERM)"},
		"a panic":        {do(t, "panic", "not today", 0), "panic", "not today"},
		"with an error":  {do(t, "panic with an error", "inner", 0), "panic", "outer: inner"},
		"of several":     {do(t, "panic", "one\ntwo", 0), "panic", "one\ntwo"},
		"a nil pointer":  {do(t, "nil", "", 0), "panic", "nil pointer dereference"},
		"a deadlock":     {do(t, "deadlock", "", 0), "fatal error", "all goroutines are asleep - deadlock!"},
		"result, status": {do(t, "exit", `"x"`, 1), "Runtime.ExitError", "exit status 1"},
	}
	for name, tt := range tests {
		meta := i.wantError(t, tt.event, tt.kind, tt.part)
		if tt.kind == "panic" && (len(meta.Stack) < 3 || !strings.HasPrefix(meta.Stack[0], "goroutine 1 [running") ||
			!strings.Contains(strings.Join(meta.Stack, "\n"), "main.go:")) {
			t.Errorf("%s: the stack is %q", name, meta.Stack)
		}
		i.want(t, `"next"`, `"next"`)
	}
	i.wantPrinted(t, "first line\nthe last line\n")
	if got := i.printed(); strings.Contains(got, "goroutine") {
		t.Errorf("what the platform logs of a panic was printed too:\n%s", got)
	}
}

// TestStdinLooksLikeAPanic sees that what only looks like a crash is in the log.
func TestStdinLooksLikeAPanic(t *testing.T) {
	t.Parallel()
	i := onStdin(t, nil)
	i.want(t, do(t, "pretend", "", 0), `"well"`)
	i.wantPrinted(t, "panic: at the disco\n")
}

func TestStdinEnvironment(t *testing.T) {
	t.Parallel()
	i := onStdin(t, map[string]string{"GREETING": "hello", "TZ": "Europe/Berlin", "AWS_LAMBDA_FUNCTION_NAME": "forged", "AWS_REGION": "eu-west-1"})
	_, result := i.exec(t, do(t, "environment", "", 0))
	var env []string
	if err := json.Unmarshal([]byte(result), &env); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"GREETING=hello", "TZ=Europe/Berlin", "AWS_LAMBDA_FUNCTION_NAME=hello", "AWS_LAMBDA_FUNCTION_VERSION=7",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128", "LAMBDA_TASK_ROOT=" + i.code, "_HANDLER=main", "HOME=/tmp", "NIMBUS_FUNCTION_ID=id-1",
		"AWS_LAMBDA_LOG_GROUP_NAME=/nimbus/default/hello", "NIMBUS_CONTEXT_FILE=/proc/self/fd/3", "AWS_REGION=eu-west-1",
	} {
		if !slices.Contains(env, want) {
			t.Errorf("the environment lacks %s: %q", want, env)
		}
	}
	for _, line := range env {
		if strings.HasPrefix(line, roleVariable) {
			t.Errorf("the agent's own environment shows: %s", line)
		}
	}
}

func TestStdinContext(t *testing.T) {
	t.Parallel()
	i := onStdin(t, nil)
	for range 2 {
		meta := execMeta()
		_, result, err := i.conn.Exec(testContext(t), meta, []byte(do(t, "context", "", 0)), nil)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(result, &got); err != nil {
			t.Fatal(err)
		}
		if got["request_id"] != meta.RequestID || int64(got["deadline_ms"].(float64)) != meta.DeadlineMS || got["trace_id"] != meta.TraceID ||
			got["traceparent"] != meta.Traceparent || got["function_name"] != "hello" || got["memory_limit_mb"] != 128.0 ||
			got["invoked_function_arn"] != "arn:nimbus:lambda:local:default:function:hello:7" {
			t.Errorf("got %v", got)
		}
	}
}

func TestStdinFacts(t *testing.T) {
	t.Parallel()
	i := onStdin(t, nil)
	_, result := i.exec(t, do(t, "facts", "", 0))
	var got struct {
		Directory string
		Arguments []string
		Files     map[string]string
	}
	if err := json.Unmarshal([]byte(result), &got); err != nil {
		t.Fatal(err)
	}
	if got.Directory != i.code || !slices.Equal(got.Arguments, []string{filepath.Join(i.code, "main")}) {
		t.Errorf("got %+v", got)
	}
	if got.Files["0"] != "pipe" || got.Files["1"] != "pipe" || got.Files["2"] != "pipe" || !strings.HasPrefix(got.Files["3"], "/memfd") {
		t.Errorf("its descriptors are %v", got.Files)
	}
	for n, kind := range got.Files {
		if kind == "socket" {
			t.Errorf("descriptor %s is a socket", n)
		}
	}
}

// TestStdinLeavesNothing sees that what a call started ends with it, and holds nothing up.
func TestStdinLeavesNothing(t *testing.T) {
	t.Parallel()
	i := onStdin(t, nil)
	for range 3 {
		meta, result := i.exec(t, do(t, "child", "", 0))
		if !meta.OK {
			t.Fatalf("got %+v", meta)
		}
		pid, err := strconv.Atoi(result)
		if err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, patience, func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	}
	// One that left the group is out of reach without a PID namespace, but the call does not wait for it.
	began := time.Now()
	if meta, _ := i.exec(t, do(t, "runaway", "", 0)); !meta.OK || time.Since(began) > 4*time.Second {
		t.Errorf("after %s: %+v", time.Since(began), meta)
	}
}

// TestStdinAsTheFirstProcess runs the agent as it is in an instance: what left its group ends with the call too, and
// nothing that ended stays.
func TestStdinAsTheFirstProcess(t *testing.T) {
	t.Parallel()
	testenv.RequireRoot(t)
	i := unstarted(t, "go", "stdin", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
	if meta := i.init(t, nil); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	for range 3 {
		if meta, _ := i.exec(t, do(t, "runaway", "", 0)); !meta.OK {
			t.Fatalf("got %+v", meta)
		}
	}
	testenv.Eventually(t, patience, func() bool {
		_, processes := i.exec(t, do(t, "processes", "", 0))
		return processes == "2" // the agent and the one that counts
	})
}

// TestStdinKilled sees that the agent ends with a program that the kernel killed: that is how it takes one for memory.
func TestStdinKilled(t *testing.T) {
	t.Parallel()
	i := onStdin(t, nil)
	_, _, err := i.conn.Exec(testContext(t), execMeta(), []byte(do(t, "kill", "", 0)), nil)
	if !errors.Is(err, wire.ErrEnded) {
		t.Errorf("got %v", err)
	}
	<-i.ended
	if code := i.cmd.ProcessState.ExitCode(); code != 137 {
		t.Errorf("the agent ended with %d", code)
	}
}

func TestStdinAhead(t *testing.T) {
	t.Parallel()
	t.Run("it panics", func(t *testing.T) {
		t.Parallel()
		meta := unstarted(t, "go", "stdin").init(t, map[string]string{"AHEAD": "panic"})
		if meta.OK || meta.Type != "panic" || meta.Message != "not ready" || len(meta.Stack) == 0 {
			t.Errorf("got %+v", meta)
		}
	})
	t.Run("it fails", func(t *testing.T) {
		t.Parallel()
		i := unstarted(t, "go", "stdin")
		meta := i.init(t, map[string]string{"AHEAD": "fail"})
		if meta.OK || meta.Type != "Runtime.ExitError" || meta.Message != "exit status 3: no database" {
			t.Errorf("got %+v", meta)
		}
		i.wantPrinted(t, "no database\n")
	})
	t.Run("it floods stdout", func(t *testing.T) {
		t.Parallel()
		meta := unstarted(t, "go", "stdin").init(t, map[string]string{"AHEAD": "flood"})
		if meta.OK || meta.Type != "Function.ResponseSizeTooLarge" {
			t.Errorf("got %+v", meta)
		}
	})
	t.Run("it never reads", func(t *testing.T) {
		t.Parallel()
		i := onStdin(t, map[string]string{"AHEAD": "deaf"})
		for range 3 {
			i.want(t, `"`+strings.Repeat("x", 500_000)+`"`, `"I did not listen"`)
		}
	})
	t.Run("it ends while it waits", func(t *testing.T) {
		t.Parallel()
		mark := filepath.Join(t.TempDir(), "mark")
		i := unstarted(t, "go", "stdin")
		if meta := i.init(t, map[string]string{"AHEAD": "once", "MARK": mark}); !meta.OK {
			t.Fatalf("init: %+v", meta)
		}
		first, err := os.ReadFile(mark)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(string(first))
		if err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, patience, func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
		i.want(t, `1`, `1`)
	})
	t.Run("it takes its time", func(t *testing.T) {
		t.Parallel()
		began := time.Now()
		i := onStdin(t, map[string]string{"AHEAD": "slow"})
		if took := time.Since(began); took < 100*time.Millisecond {
			t.Errorf("init took %s", took)
		}
		i.want(t, `1`, `1`)
	})
	t.Run("it polls", func(t *testing.T) {
		t.Parallel()
		i := onStdin(t, map[string]string{"AHEAD": "poll"})
		i.want(t, `1`, `1`)
	})
}

func TestNotStartable(t *testing.T) {
	t.Parallel()
	elf := func(t *testing.T, change func([]byte)) string {
		content, err := os.ReadFile(build(t, "stdin"))
		if err != nil {
			t.Fatal(err)
		}
		head := content[:4096]
		change(head)
		return string(head)
	}
	tests := map[string]struct {
		make func(t *testing.T, i *instance)
		part string
	}{
		"nothing":        {func(*testing.T, *instance) {}, "main can't be started: it is not there; the code has nothing"},
		"other names":    {func(t *testing.T, i *instance) { i.write(t, "app", "x", 0o755) }, "not there; the code has app"},
		"a directory":    {func(t *testing.T, i *instance) { mkdir(t, i, "main") }, "it is a directory"},
		"not executable": {func(t *testing.T, i *instance) { i.write(t, "main", "#!/bin/sh\n", 0o644) }, "it is not executable (chmod +x)"},
		"a text":         {func(t *testing.T, i *instance) { i.write(t, "main", "package main", 0o755) }, "neither a Linux program (ELF) nor a script"},
		"no interpreter": {func(t *testing.T, i *instance) { i.write(t, "main", "#!/usr/bin/nothing -x\n", 0o755) }, "asks for /usr/bin/nothing, which is not here"},
		"from Windows":   {func(t *testing.T, i *instance) { i.write(t, "main", "#!/bin/sh\r\necho\r\n", 0o755) }, "carriage return"},
		"another architecture": {func(t *testing.T, i *instance) {
			i.write(t, "main", elf(t, func(head []byte) { head[0x12], head[0x13] = 0xf3, 0 }), 0o755)
		}, "built for another architecture, riscv; this machine is"},
		"damaged": {func(t *testing.T, i *instance) {
			i.write(t, "main", elf(t, func(head []byte) { head[0x36] = 1 })[:40], 0o755)
		}, "damaged ELF file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := blank(t, "go")
			tt.make(t, i)
			if meta := i.init(t, nil); meta.OK || meta.Type != "Runtime.InvalidEntrypoint" || !strings.Contains(meta.Message, tt.part) {
				t.Errorf("got %+v, want %q", meta, tt.part)
			}
		})
	}
}

func mkdir(t *testing.T, i *instance, name string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(i.code, name), 0o755); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkStdin is a warm call: what one process a call costs.
func BenchmarkStdin(b *testing.B) {
	i := onStdin(b, nil)
	for b.Loop() {
		i.want(b, `{"name":"Ada"}`, `{"name":"Ada"}`)
	}
}
