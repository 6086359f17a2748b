package build

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// node is one file, directory or symbolic link of a tree.
type node struct {
	name   string      // slash-separated, from the root
	mode   fs.FileMode // type and permissions, canonical: 0644, 0755, directory 0755, link 0777
	size   int64       // of a file
	target string      // of a link
	open   func() (io.ReadCloser, error)
}

func (n *node) isDir() bool  { return n.mode.IsDir() }
func (n *node) isLink() bool { return n.mode&fs.ModeSymlink != 0 }

// tree is a checked set of nodes: every parent is there and a directory, every link ends inside. It is an
// fs.FS that follows links.
type tree struct {
	nodes    []*node // by name; a parent before its children
	byName   map[string]*node
	children map[string][]*node
}

// seal sorts the nodes and indexes children. Nothing is added afterwards.
func (t *tree) seal() {
	t.nodes = make([]*node, 0, len(t.byName))
	for _, n := range t.byName {
		t.nodes = append(t.nodes, n)
	}
	slices.SortFunc(t.nodes, func(a, b *node) int { return strings.Compare(a.name, b.name) })
	t.children = make(map[string][]*node)
	for _, n := range t.nodes {
		dir := path.Dir(n.name)
		t.children[dir] = append(t.children[dir], n)
	}
}

// Open implements fs.FS.
func (t *tree) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	steps := maxSteps
	resolved, err := t.resolve(name, &steps)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if resolved == "." {
		return &openDir{tree: t, info: info{&node{name: ".", mode: dirMode}}}, nil
	}
	n, ok := t.byName[resolved]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if n.isDir() {
		return &openDir{tree: t, info: info{n}}, nil
	}
	r, err := n.open()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &openFile{ReadCloser: r, info: info{n}}, nil
}

type openFile struct {
	io.ReadCloser
	info info
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }

type openDir struct {
	tree *tree
	info info
	read int
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: fs.ErrInvalid}
}

// ReadDir implements fs.ReadDirFile.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := d.tree.children[d.info.name][d.read:]
	if n > 0 {
		if len(rest) == 0 {
			return nil, io.EOF
		}
		rest = rest[:min(n, len(rest))]
	}
	d.read += len(rest)
	entries := make([]fs.DirEntry, len(rest))
	for i, child := range rest {
		entries[i] = fs.FileInfoToDirEntry(info{child})
	}
	return entries, nil
}

// info is a node's fs.FileInfo.
type info struct{ *node }

func (i info) Name() string       { return path.Base(i.name) }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.isDir() }
func (i info) Sys() any           { return nil }
