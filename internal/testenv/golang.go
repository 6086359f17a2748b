package testenv

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
