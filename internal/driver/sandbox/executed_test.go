//go:build linux && (amd64 || arm64)

package sandbox_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/driver/drivertest"
	"nimbus/internal/runtime"
	"nimbus/internal/testenv"
	"nimbus/internal/wire"
)

// executed is a spec of an instance whose runtime is a program.
func executed(name, program string) driver.Spec {
	s := spec(name, program)
	s.Runtime = runtime.Runtime{Name: name, Language: runtime.Custom, Path: program}
	return s
}

func TestWithoutTheAgentOnlyPythonStarts(t *testing.T) {
	testenv.RequireSandbox(t)
	d := start(t, config(t, "agentless"))
	s := spec("node", "")
	s.Runtime = node(t)
	if _, err := d.Start(t.Context(), s); err == nil || !strings.Contains(err.Error(), "nodejs") || !strings.Contains(err.Error(), "nimbus-agent") {
		t.Errorf("error %v", err)
	}
	if _, err := d.Start(t.Context(), spec("python", python(t).Path)); err != nil {
		t.Error(err)
	}
}

func TestAnExecutedStartThatFailsSaysWhy(t *testing.T) {
	testenv.RequireSandbox(t)
	c := config(t, "executed")
	c.Agent = programs(t).Agent
	d := start(t, c)
	good := drivertest.Native(t).Runtime.Path
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(t.TempDir(), "locked")
	if err := os.WriteFile(locked, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tiny := executed("tiny", good)
	tiny.Resources.Memory = 64 << 10
	env := spec("env", "")
	env.Runtime = node(t)
	env.Code = &driver.Code{Dir: t.TempDir()}
	env.Code.Init.Env = map[string]string{"NODE_OPTIONS": "a\x00b"}
	for _, c := range []struct {
		spec driver.Spec
		want string
	}{
		{tiny, "memory"},
		{executed("missing", "/usr/bin/no-such-program"), "no-such-program"},
		{executed("plain", plain), "exec format error"},
		{executed("locked", locked), "permission denied"},
		{executed("quits", "/bin/true"), "exit status 0"},
		{executed("complains", "/bin/cat"), "custom: no such file"}, // cat has no notion of "serve custom"
		{env, "invalid argument"},
	} {
		if _, err := d.Start(t.Context(), c.spec); err == nil || !strings.Contains(strings.ToLower(err.Error()), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.spec.ID, err, c.want)
		}
	}
	// None harms what comes after.
	i, err := d.Start(t.Context(), executed("good", good))
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAProcessThatOthersStartedIsOverItsMemory(t *testing.T) {
	testenv.RequireSandbox(t)
	set := programs(t)
	c := config(t, "child")
	c.Agent = set.Agent
	d := start(t, c)
	custom := drivertest.Custom(t, set.Agent)
	dir := handler(t, "")
	custom.Write(t, dir)
	s := spec("child", "")
	s.Runtime = custom.Runtime
	i, err := d.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	hog := code(dir, "hog")
	hog.Resources.Memory = 32 * nimbus.MiB
	if _, err := i.Specialize(t.Context(), hog); err != nil {
		t.Fatal(err)
	}
	// PID 1 is the agent: the kernel kills its child, and the agent ends.
	if _, err := i.Invoke(t.Context(), &driver.Call{Event: []byte("null")}); err == nil {
		t.Error("the call was answered")
	}
	<-i.Done()
	if exit := i.Exit(); !exit.OutOfMemory || exit.Signal != 0 {
		t.Errorf("exit %+v", exit)
	}
}

// shellBootstrap is a custom runtime of a shell and curl, both of them dynamic programs of the host.
const shellBootstrap = `#!/bin/sh
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while :; do
	event=$(curl -sS -D /tmp/headers "$api/next")
	id=$(sed -n 's/^lambda-runtime-aws-request-id: *\([^ ]*\)\r$/\1/Ip' /tmp/headers)
	curl -sS -o /dev/null -d "{\"got\":$event}" "$api/$id/response"
done
`

func TestAScriptIsARuntime(t *testing.T) {
	testenv.RequireSandbox(t)
	testenv.RequireCurl(t)
	set := programs(t)
	c := config(t, "script")
	c.Agent = set.Agent
	d := start(t, c)
	dir := handler(t, "")
	if err := os.WriteFile(filepath.Join(dir, "bootstrap"), []byte(shellBootstrap), 0o755); err != nil {
		t.Fatal(err)
	}
	i, err := d.Start(t.Context(), executed("script", set.Agent))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Specialize(t.Context(), code(dir, "any")); err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{`1`, `{"name":"Ada"}`} {
		call := driver.Call{Meta: wire.ExecMeta{RequestID: nimbus.NewID().String()}, Event: []byte(event)}
		if o, err := i.Invoke(t.Context(), &call); err != nil || string(o.Result) != `{"got":`+event+`}` {
			t.Errorf("%s: %+v %s, %v", event, o.Resp, o.Result, err)
		}
	}
}
