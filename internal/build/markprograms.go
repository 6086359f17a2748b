package build

import (
	"io"
	"strings"
)

// markPrograms makes what can be started at the top of a package executable: bootstrap, and compiled programs.
// Archives made on Windows, and those of many tools, don't tell.
func (t *tree) markPrograms() error {
	for _, n := range t.children["."] {
		if n.isDir() || n.isLink() || n.mode&0o111 != 0 || isCode(n.name) && n.name != bootstrap || strings.Contains(n.name, ".so") {
			continue
		}
		program := n.name == bootstrap
		if !program {
			var err error
			if program, err = n.startsWith(elfMagic); err != nil {
				return err
			}
		}
		if program {
			n.mode = execMode
		}
	}
	return nil
}

func (n *node) startsWith(magic string) (bool, error) {
	if n.size < int64(len(magic)) {
		return false, nil
	}
	r, err := n.open()
	if err != nil {
		return false, err
	}
	defer discard(r)
	start := make([]byte, len(magic))
	_, err = io.ReadFull(r, start)
	return string(start) == magic, err
}
