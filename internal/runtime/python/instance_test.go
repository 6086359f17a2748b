package python_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"nimbus/internal/runtime/python"
	"nimbus/internal/runtime/runtimetest"
	"nimbus/internal/testenv"
	"nimbus/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// blank starts an interpreter that was given no code yet.
func blank(t testing.TB) *runtimetest.Instance {
	t.Helper()
	bootstrap := filepath.Join(t.TempDir(), "bootstrap.py")
	if err := os.WriteFile(bootstrap, python.Bootstrap(), 0o600); err != nil {
		t.Fatal(err)
	}
	return runtimetest.Start(t, testenv.RequirePython(t), "-I", "-S", bootstrap, "--fd", "3")
}

// function starts an instance with handler.py as its only file.
func function(t testing.TB, source string) *runtimetest.Instance {
	t.Helper()
	i := blank(t)
	i.WriteFile(t, "handler.py", source)
	if meta := i.Init(t, wire.InitMsg{}); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	return i
}

func bootstrapSource() string { return string(python.Bootstrap()) }

// runFailing returns what a command prints that must fail.
func runFailing(t testing.TB, command ...string) string {
	t.Helper()
	out, err := exec.CommandContext(runtimetest.Context(t), command[0], command[1:]...).CombinedOutput()
	if err == nil {
		t.Fatalf("%v succeeded: %s", command, out)
	}
	return string(out)
}
