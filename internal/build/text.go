package build

import (
	"io"
	"path"
	"strings"

	"nimbus"
)

// textTree is the tree of code given as text: one file.
func textTree(name, text string, bound int64) (*tree, error) {
	if int64(len(text)) > bound {
		return nil, nimbus.Errorf(nimbus.CodeTooLarge,
			"code: text is bounded by %d bytes; upload a zip for more", bound)
	}
	clean, err := cleanName(name)
	if err != nil {
		return nil, err
	}
	t := &tree{byName: map[string]*node{
		clean: {
			name: clean, mode: fileMode, size: int64(len(text)),
			open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
		},
	}}
	for dir := path.Dir(clean); dir != "."; dir = path.Dir(dir) {
		t.byName[dir] = &node{name: dir, mode: dirMode}
	}
	t.seal()
	return t, nil
}
