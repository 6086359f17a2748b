package build

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"nimbus"
	"nimbus/internal/testenv"
)

func TestTreeIsReadableByAnyUser(t *testing.T) {
	t.Parallel()
	testenv.RequireRoot(t)
	root, err := os.MkdirTemp("", "nimbus-build-") // the parents of t.TempDir are closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	b := newBenchAt(t, root, nimbus.DefaultLimits())
	dir, err := b.cache.Dir(t.Context(), b.build(t, member{name: "d/a.py", body: "a", mode: 0o600}))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/cat", filepath.Join(dir, "d/a.py"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "a" {
		t.Errorf("nobody reads %q, %v", out, err)
	}
	cmd = exec.Command("/bin/sh", "-c", "echo x > "+filepath.Join(dir, "d/new"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if cmd.Run() == nil {
		t.Error("nobody writes into the tree")
	}
}
