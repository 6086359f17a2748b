package testenv

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// findGo returns the go command of the toolchain that runs this test, else one on PATH.
func findGo() (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err == nil {
		path := filepath.Join(strings.TrimSpace(string(out)), "bin", "go")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("this test needs a Go toolchain on PATH")
}

// BuildGo compiles a package of this module into one static program, with the toolchain that RequireGo returns,
// and returns its path. env, such as GOOS=wasip1, wins over the test's.
func BuildGo(t testing.TB, pkg string, env ...string) string {
	t.Helper()
	tool := RequireGo(t)
	program := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command(tool, "build", "-o", program, pkg)
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	return program
}
