package testenv

import (
	"errors"
	"os/exec"
	"path/filepath"
)

// findNode looks where distributions put it, not on PATH, as findPython does.
func findNode() (string, error) {
	for _, dir := range []string{"/usr/bin", "/usr/local/bin"} {
		for _, name := range []string{"node", "nodejs"} {
			path, err := filepath.EvalSymlinks(filepath.Join(dir, name))
			if err != nil {
				continue
			}
			cmd := exec.Command(path, "-e", "process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)")
			cmd.Env = []string{}
			if cmd.Run() == nil {
				return path, nil
			}
		}
	}
	return "", errors.New("this test needs Node 18 or later in /usr/bin; try: apt-get install nodejs")
}
