package node_test

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"nimbus/internal/runtime/node"
	"nimbus/internal/runtime/runtimetest"
	"nimbus/internal/testenv"
	"nimbus/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// blank starts an interpreter that was given no code yet.
func blank(t testing.TB) *runtimetest.Instance {
	t.Helper()
	return blankWith(t, append([]string{testenv.RequireNode(t)}, node.Flags()...)...)
}

// blankWith starts one by a command of its own.
func blankWith(t testing.TB, command ...string) *runtimetest.Instance {
	t.Helper()
	bootstrap := filepath.Join(t.TempDir(), "bootstrap.cjs")
	if err := os.WriteFile(bootstrap, node.Bootstrap(), 0o600); err != nil {
		t.Fatal(err)
	}
	return runtimetest.Start(t, append(command, bootstrap)...)
}

// function starts an instance with handler.js as its only file.
func function(t testing.TB, source string) *runtimetest.Instance {
	t.Helper()
	i := blank(t)
	i.WriteFile(t, "handler.js", source)
	if meta := i.Init(t, wire.InitMsg{}); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	return i
}
