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
	return fileTree(&node{
		name: name, mode: fileMode, size: int64(len(text)),
		open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
	})
}

// binaryTree is the tree of a program given without an archive: one executable file.
func binaryTree(name string, program *io.SectionReader, bound int64) (*tree, error) {
	if program.Size() > bound {
		return nil, nimbus.Errorf(nimbus.CodeTooLarge, "binary: a program is bounded by %d bytes", bound)
	}
	return fileTree(&node{
		name: name, mode: execMode, size: program.Size(),
		open: func() (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(program, 0, program.Size())), nil
		},
	})
}

// fileTree is the tree of one file.
func fileTree(file *node) (*tree, error) {
	clean, err := cleanName(file.name)
	if err != nil {
		return nil, err
	}
	file.name = clean
	t := &tree{byName: map[string]*node{clean: file}}
	for dir := path.Dir(clean); dir != "."; dir = path.Dir(dir) {
		t.byName[dir] = &node{name: dir, mode: dirMode}
	}
	t.seal()
	return t, nil
}
