package build

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxShebang is how much of a script's first line the kernel reads (BINPRM_BUF_SIZE).
const maxShebang = 256

// insidePath is where instances look for programs.
func insidePath() []string { return []string{"/usr/local/bin", "/usr/bin", "/bin"} }

// wrongScript returns why a script that begins so can't be started, "" when it can.
func wrongScript(tree fs.FS, head []byte) string {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	switch {
	case bytes.HasSuffix(line, []byte("\r")):
		return "ends its first line with CR LF, as on Windows: save it with LF"
	case len(line) >= maxShebang:
		return "has a first line of more than 255 bytes"
	}
	words := strings.Fields(string(line[len("#!"):]))
	if len(words) == 0 {
		return "does not say after #! what is to run it"
	}
	if why := absentInside(tree, words[0]); why != "" {
		return "is to be run by " + words[0] + ", which " + why
	}
	if path.Base(words[0]) != "env" {
		return ""
	}
	for _, word := range words[1:] {
		if strings.HasPrefix(word, "-") || strings.Contains(word, "=") {
			continue // options and variables of env
		}
		if !inPath(tree, word) {
			return "is to be run by " + word + ", which is not in " + strings.Join(insidePath(), ", ")
		}
		break
	}
	return ""
}

func inPath(tree fs.FS, program string) bool {
	if strings.Contains(program, "/") {
		return absentInside(tree, program) == ""
	}
	for _, dir := range insidePath() {
		if absentInside(tree, path.Join(dir, program)) == "" {
			return true
		}
	}
	return false
}

// absentInside returns why an instance that has the tree would not find a program, "" when it would.
func absentInside(tree fs.FS, program string) string {
	if !path.IsAbs(program) {
		return "is no absolute path"
	}
	program = path.Clean(program)
	for _, dir := range []string{"/var/function/", "/var/task/"} {
		if name, inPackage := strings.CutPrefix(program, dir); inPackage {
			if there, err := isFile(tree, name); err != nil || !there {
				return "is not in the package"
			}
			return ""
		}
	}
	// Of the host an instance has /usr; the system's other directories of programs are links into it.
	resolved, err := filepath.EvalSymlinks(program)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "this machine does not have"
	case err != nil || !strings.HasPrefix(resolved, "/usr/"):
		return "instances do not have: of this machine they see /usr only"
	}
	if st, err := os.Stat(resolved); err != nil || !st.Mode().IsRegular() {
		return "is no program"
	}
	return ""
}
