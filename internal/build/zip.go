package build

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"strings"
	"unicode/utf8"

	"nimbus"
)

const (
	fileMode = fs.FileMode(0o644)
	execMode = fs.FileMode(0o755)
	dirMode  = fs.ModeDir | 0o755
	linkMode = fs.ModeSymlink | 0o777

	maxName   = 1024 // bytes of a path in a package
	maxPart   = 255  // bytes of one element of it (NAME_MAX)
	maxTarget = 1024 // bytes of a link's target
	maxRecord = 512  // mean bytes of a directory record, by which the whole directory is bounded

	flagEncrypted = 0x1
)

// refusal is why an archive is refused, in words.
type refusal string

func (r refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

// readZip reads the directory of a zip and checks everything it says, and every link. What files hold is
// compared with it while they are read. The tree reads from r.
func readZip(r io.ReaderAt, size int64, limits nimbus.Limits) (*tree, error) {
	// The zip reader takes in the whole directory before its entries can be counted.
	directory := &directoryReader{r: r, left: int64(limits.ArchiveFile)*maxRecord + nimbus.MiB}
	z, err := zip.NewReader(directory, size)
	switch {
	case directory.err != nil:
		return nil, fmt.Errorf("read archive: %w", directory.err)
	case directory.left < 0 || err == nil && len(z.File) > limits.ArchiveFile:
		return nil, refuse("the archive has more than %d entries", limits.ArchiveFile)
	case err != nil:
		return nil, refuse("this is no zip archive, or it was cut short")
	}
	directory.left = math.MaxInt64 // files are bounded by their sizes
	b := &treeBuilder{limits: limits, tree: &tree{byName: make(map[string]*node)}}
	for _, f := range z.File {
		if err := b.add(f); err != nil {
			return nil, err
		}
	}
	if !b.hasFile {
		return nil, refuse("the archive has no files")
	}
	return b.tree, b.checkLinks()
}

// treeBuilder gathers the entries of an archive.
type treeBuilder struct {
	limits  nimbus.Limits
	tree    *tree
	total   int64
	hasFile bool
}

func (b *treeBuilder) add(f *zip.File) error {
	name, err := cleanName(f.Name)
	if err != nil {
		return err
	}
	n, err := b.node(f, name)
	if err != nil || name == "." {
		return err
	}
	if err := b.addParents(name); err != nil {
		return err
	}
	if old, there := b.tree.byName[name]; there {
		switch {
		case old.isDir() && n.isDir():
			return nil
		case old.isDir() || n.isDir():
			return refuse("%q is both a file and a directory", name)
		}
		return refuse("%q is in the archive twice", name)
	}
	return b.insert(n)
}

// node checks one entry on its own.
func (b *treeBuilder) node(f *zip.File, name string) (*node, error) {
	if f.Flags&flagEncrypted != 0 {
		return nil, refuse("%q is encrypted", name)
	}
	if f.Method != zip.Store && f.Method != zip.Deflate {
		return nil, refuse("%q is compressed by method %d; only stored and deflated files can be read", name, f.Method)
	}
	mode := f.Mode()
	switch mode.Type() {
	case fs.ModeDir:
		if f.UncompressedSize64 != 0 {
			return nil, refuse("%q is a directory with content", name)
		}
		return &node{name: name, mode: dirMode}, nil
	case fs.ModeSymlink:
		target, err := linkTarget(f, name)
		b.hasFile = true
		return &node{name: name, mode: linkMode, target: target}, err
	case 0:
	default:
		return nil, refuse("%q is neither file, directory nor symbolic link", name)
	}
	if name == "." {
		return nil, refuse("a file of the archive has no name")
	}
	// Compared before adding: the sizes are the archive's own claim and may overflow.
	if f.UncompressedSize64 > uint64(b.limits.Unpacked-b.total) {
		return nil, refuse("the archive's files are over their bound of %d bytes together", b.limits.Unpacked)
	}
	b.total += int64(f.UncompressedSize64)
	b.hasFile = true
	n := &node{name: name, mode: fileMode, size: int64(f.UncompressedSize64)}
	if mode&0o111 != 0 {
		n.mode = execMode
	}
	n.open = func() (io.ReadCloser, error) {
		r, err := f.Open()
		if err != nil {
			return nil, refuse("%q is damaged", name)
		}
		return &zipContent{r: r, name: name}, nil
	}
	return n, nil
}

// addParents makes the directories above name that the archive did not list.
func (b *treeBuilder) addParents(name string) error {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if parent, there := b.tree.byName[dir]; there {
			if !parent.isDir() {
				return refuse("%q is both a file and a directory", dir)
			}
			return nil // and so are those above
		}
		if err := b.insert(&node{name: dir, mode: dirMode}); err != nil {
			return err
		}
	}
	return nil
}

func (b *treeBuilder) insert(n *node) error {
	if len(b.tree.byName) >= b.limits.ArchiveFile {
		return refuse("the archive has more than %d files and directories", b.limits.ArchiveFile)
	}
	b.tree.byName[n.name] = n
	return nil
}

func (b *treeBuilder) checkLinks() error {
	b.tree.seal()
	steps := maxSteps
	for _, n := range b.tree.nodes {
		if !n.isLink() {
			continue
		}
		if _, err := b.tree.resolve(n.name, &steps); err != nil {
			return refuse("the link %q to %q %v", n.name, n.target, err)
		}
	}
	return nil
}

// cleanName checks a name and returns it as the tree has it.
func cleanName(name string) (string, error) {
	switch {
	case name == "":
		return "", refuse("a file of the archive has no name")
	case len(name) > maxName:
		return "", refuse("the name %.60q… is over its bound of %d bytes", name, maxName)
	case !utf8.ValidString(name):
		return "", refuse("the name %q is not UTF-8", name)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", refuse("the name %q has control characters", name)
	case strings.Contains(name, `\`):
		return "", refuse("the name %q has a backslash; directories are divided by /", name)
	case strings.HasPrefix(name, "/"):
		return "", refuse("the name %q is absolute", name)
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(name, "/"), "/") {
		switch {
		case part == "":
			return "", refuse("the name %q has an empty element", name)
		case part == "..":
			return "", refuse("the name %q leaves the package", name)
		case len(part) > maxPart:
			return "", refuse("an element of the name %.60q… is over its bound of %d bytes", name, maxPart)
		}
	}
	return path.Clean(name), nil
}

func linkTarget(f *zip.File, name string) (string, error) {
	if name == "." || f.UncompressedSize64 == 0 || f.UncompressedSize64 > maxTarget {
		return "", refuse("the link %q must have a target of 1 to %d bytes", name, maxTarget)
	}
	r, err := f.Open()
	if err != nil {
		return "", refuse("%q is damaged", name)
	}
	defer r.Close()
	target, err := io.ReadAll(io.LimitReader(r, maxTarget+1))
	switch {
	case err != nil:
		return "", refuse("%q is damaged", name)
	case strings.ContainsRune(string(target), 0) || !utf8.Valid(target):
		return "", refuse("the target of the link %q is no path", name)
	}
	return string(target), nil
}

// zipContent reads a file of a zip; a difference to what the directory promised is a refusal.
type zipContent struct {
	r    io.ReadCloser
	name string
}

func (c *zipContent) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && err != io.EOF {
		err = refuse("%q is damaged, or not of the size that the archive tells", c.name)
	}
	return n, err
}

func (c *zipContent) Close() error { return c.r.Close() }

// directoryReader bounds how much is read while the directory of a zip is taken in, and keeps the errors of
// the disk apart from those of the archive.
type directoryReader struct {
	r    io.ReaderAt
	left int64
	err  error
}

var errOverBound = errors.New("the directory is over its bound")

// ReadAt implements io.ReaderAt.
func (d *directoryReader) ReadAt(p []byte, off int64) (int, error) {
	if d.left -= int64(len(p)); d.left < 0 {
		return 0, errOverBound
	}
	n, err := d.r.ReadAt(p, off)
	if err != nil && err != io.EOF {
		d.err = err
	}
	return n, err
}
