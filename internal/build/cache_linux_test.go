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

// An instance's user id is known to nobody: it may read a tree that is shown to it, and nobody may by its path.
func TestTreeIsReadableWhereItIsShown(t *testing.T) {
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
	shown, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer shown.Close()
	nobody := func(script string) (string, error) {
		cmd := exec.Command("/bin/sh", "-c", script)
		cmd.ExtraFiles = []*os.File{shown} // descriptor 3
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.Output()
		return string(out), err
	}
	if out, err := nobody("cat /proc/self/fd/3/d/a.py"); err != nil || out != "a" {
		t.Errorf("where it is shown nobody reads %q, %v", out, err)
	}
	if _, err := nobody("echo x > /proc/self/fd/3/d/new"); err == nil {
		t.Error("nobody writes into the tree")
	}
	if out, err := nobody("cat " + filepath.Join(dir, "d/a.py")); err == nil {
		t.Errorf("by its path nobody reads %q", out)
	}
}
