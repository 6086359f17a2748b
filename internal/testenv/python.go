package testenv

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// findPython looks where distributions put interpreters, not on PATH: what stands first there may be a
// version manager's shim, which no instance can see.
func findPython() (string, error) {
	for _, dir := range []string{"/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"} {
		path, err := filepath.EvalSymlinks(filepath.Join(dir, "python3"))
		if err != nil {
			continue
		}
		cmd := exec.Command(path, "-I", "-S", "-c", "import sys; sys.exit(sys.version_info < (3, 8))")
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
		if cmd.Run() == nil {
			return path, nil
		}
	}
	return "", errors.New("this test needs Python 3.8 or later in /usr/bin; try: apt-get install python3")
}
