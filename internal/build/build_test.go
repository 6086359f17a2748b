package build

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"nimbus"
	"nimbus/internal/blob/dir"
	"nimbus/internal/testenv"
)

// bench is a builder over real directories.
type bench struct {
	*Builder
	root  string
	blobs *dir.Store
	cache *Cache
}

func newBench(t testing.TB, limits nimbus.Limits) *bench { return newBenchAt(t, t.TempDir(), limits) }

func newBenchAt(t testing.TB, root string, limits nimbus.Limits) *bench {
	t.Helper()
	b := &bench{root: root}
	var err error
	if b.blobs, err = dir.Open(filepath.Join(root, "blobs")); err != nil {
		t.Fatal(err)
	}
	if b.cache, err = NewCache(filepath.Join(root, "code"), b.blobs); err != nil {
		t.Fatal(err)
	}
	b.Builder, err = New(b.blobs, b.cache, Config{Limits: limits, TempDir: filepath.Join(root, "tmp"), Grace: 1})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// left returns the files below the root, but for the cache's marker.
func (b *bench) left(t testing.TB) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(b.root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != "boot" {
			found = append(found, path)
		}
		if err == nil && e.IsDir() && strings.HasPrefix(e.Name(), ".") {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (b *bench) wantNothingLeft(t testing.TB) {
	t.Helper()
	if left := b.left(t); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func (b *bench) build(t testing.TB, members ...member) nimbus.Package {
	t.Helper()
	pkg, err := b.Build(t.Context(), Source{Archive: bytes.NewReader(makeZip(t, members...))}, accept)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

func accept(fs.FS) error { return nil }

func TestSameTreeSamePackage(t *testing.T) {
	t.Parallel()
	b := newBench(t, nimbus.DefaultLimits())
	first := b.build(t, member{name: "a.py", body: "a"}, member{name: "d/b.py", body: "b"}, member{name: "d/x", mode: 0o755, body: "x"})
	same := b.build(t, member{name: "d/", mode: fs.ModeDir | 0o700}, member{name: "d/x", mode: 0o4711, body: "x"},
		member{name: "./d/b.py", mode: 0o600, body: "b"}, member{name: "a.py", mode: 0o664, body: "a"})
	if first != same {
		t.Errorf("the same tree is %v and %v", first, same)
	}
	if blobs := b.left(t); len(blobs) != 1+3 { // one blob, three unpacked files
		t.Errorf("stored: %v", blobs)
	}
	for name, other := range map[string][]member{
		"content":  {{name: "a.py", body: "A"}, {name: "d/b.py", body: "b"}, {name: "d/x", mode: 0o755, body: "x"}},
		"mode":     {{name: "a.py", body: "a"}, {name: "d/b.py", body: "b"}, {name: "d/x", body: "x"}},
		"name":     {{name: "a.py", body: "a"}, {name: "d/c.py", body: "b"}, {name: "d/x", mode: 0o755, body: "x"}},
		"an extra": {{name: "a.py", body: "a"}, {name: "d/b.py", body: "b"}, {name: "d/x", mode: 0o755, body: "x"}, {name: "e/"}},
	} {
		if pkg := b.build(t, other...); pkg.Hash == first.Hash {
			t.Errorf("another %s, the same package", name)
		}
	}
}

func TestTextIsAPackageOfOneFile(t *testing.T) {
	t.Parallel()
	b := newBench(t, nimbus.DefaultLimits())
	const code = "def handle(event):\n    return event\n"
	text, err := b.Build(t.Context(), Source{Text: code, Name: "handler.py"}, accept)
	if err != nil {
		t.Fatal(err)
	}
	if text.Inline != "handler.py" {
		t.Errorf("inline = %q", text.Inline)
	}
	if zipped := b.build(t, member{name: "handler.py", body: code}); zipped.Hash != text.Hash || zipped.Inline != "" {
		t.Errorf("zipped it is %+v, as text %+v", zipped, text)
	}
	deep, err := b.Build(t.Context(), Source{Text: code, Name: "pkg/sub/handler.py"}, accept)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := b.Tree(t.Context(), deep)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fs.ReadFile(tree, "pkg/sub/handler.py"); err != nil || string(got) != code {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestTextOverItsBound(t *testing.T) {
	t.Parallel()
	b := newBench(t, nimbus.DefaultLimits())
	exact := strings.Repeat("#", 512<<10)
	if _, err := b.Build(t.Context(), Source{Text: exact, Name: "handler.py"}, accept); err != nil {
		t.Errorf("exactly the bound: %v", err)
	}
	_, err := b.Build(t.Context(), Source{Text: exact + "#", Name: "handler.py"}, accept)
	if nimbus.CodeOf(err) != nimbus.CodeTooLarge {
		t.Errorf("error = %v, want code too_large", err)
	}
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t, nimbus.DefaultLimits())
	objection := errors.New("not this one")
	_, err := b.Build(t.Context(), Source{Archive: bytes.NewReader(makeZip(t, member{name: "a.py", body: "x = 1"}))},
		func(tree fs.FS) error {
			if got, err := fs.ReadFile(tree, "a.py"); err != nil || string(got) != "x = 1" {
				t.Errorf("check read %q, %v", got, err)
			}
			return objection
		})
	if !errors.Is(err, objection) {
		t.Errorf("error = %v, want check's", err)
	}
	b.wantNothingLeft(t)
}

func TestUploadThatBreaks(t *testing.T) {
	t.Parallel()
	b := newBench(t, nimbus.DefaultLimits())
	tooLarge := nimbus.Errorf(nimbus.CodeTooLarge, "the body is over its bound")
	for err, want := range map[error]nimbus.Code{
		io.ErrUnexpectedEOF: nimbus.CodeBadRequest,
		tooLarge:            nimbus.CodeTooLarge,
	} {
		r := io.MultiReader(strings.NewReader("PK\x03\x04"), iotest.ErrReader(err))
		if _, got := b.Build(t.Context(), Source{Archive: r}, accept); nimbus.CodeOf(got) != want {
			t.Errorf("reader failed with %v, Build with %v; want code %s", err, got, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Build(ctx, Source{Archive: strings.NewReader("PK")}, accept); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
	b.wantNothingLeft(t)
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	b := newBenchAt(t, testenv.TinyDisk(t, 512<<10), nimbus.DefaultLimits())
	small := b.build(t, member{name: "handler.py", body: "def handle(event): pass"})
	before := len(b.left(t))

	noise := make([]byte, 600<<10)
	_, err := b.Build(t.Context(), Source{Archive: bytes.NewReader(noise)}, accept)
	if nimbus.CodeOf(err) != nimbus.CodeInsufficientStorage {
		t.Errorf("spooling: error = %v, want code insufficient_storage", err)
	}
	// Fits as an upload and as a blob, not unpacked.
	sparse := makeZip(t, member{name: "a.py"}, member{name: "zeros", body: string(make([]byte, 2<<20))})
	_, err = b.Build(t.Context(), Source{Archive: bytes.NewReader(sparse)}, accept)
	if nimbus.CodeOf(err) != nimbus.CodeInsufficientStorage {
		t.Errorf("unpacking: error = %v, want code insufficient_storage", err)
	}
	if left := b.left(t); len(left) > before+1 { // the blob stays, for the collector
		t.Errorf("left behind: %v", left)
	}
	if _, err := b.Tree(t.Context(), small); err != nil {
		t.Errorf("reading on a full disk: %v", err)
	}
	if err := b.Collect(t.Context(), map[string]struct{}{small.Hash: {}}); err != nil {
		t.Fatal(err)
	}
	b.build(t, member{name: "handler.py", body: "def handle(event): return 1"})
}

func TestCollect(t *testing.T) {
	t.Parallel()
	b := newBench(t, nimbus.DefaultLimits())
	kept := b.build(t, member{name: "kept.py", body: "1"})
	gone := b.build(t, member{name: "gone.py", body: "2"})
	if err := b.Collect(t.Context(), map[string]struct{}{kept.Hash: {}}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Tree(t.Context(), kept); err != nil {
		t.Error(err)
	}
	if _, err := b.Tree(t.Context(), gone); nimbus.CodeOf(err) != nimbus.CodeNotFound {
		t.Errorf("error = %v, want code not_found", err)
	}
	if left := b.left(t); len(left) != 2 {
		t.Errorf("left: %v", left)
	}
}

func TestCollectSparesWhatWasUsedLately(t *testing.T) {
	t.Parallel()
	b := newBench(t, nimbus.DefaultLimits())
	b.cfg.Grace = defaultGrace
	pkg := b.build(t, member{name: "new.py", body: "1"})
	if err := b.Collect(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if left := b.left(t); len(left) != 2 {
		t.Errorf("left: %v", left)
	}
	// The blob is old, but its tree was asked for just now.
	path := filepath.Join(b.root, "blobs", pkg.Hash[:2], pkg.Hash[2:4], pkg.Hash)
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	long := st.ModTime().Add(-2 * defaultGrace)
	if err := os.Chtimes(path, long, long); err != nil {
		t.Fatal(err)
	}
	if err := b.Collect(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if left := b.left(t); len(left) != 2 {
		t.Errorf("left: %v", left)
	}
}

// A build of what is being collected ends with a package that is there.
func TestCollectWhileBuilding(t *testing.T) {
	t.Parallel()
	b := newBench(t, nimbus.DefaultLimits())
	b.cfg.Grace = defaultGrace
	archive := makeZip(t, member{name: "a.py", body: "x"})
	ctx, stop := context.WithCancel(t.Context())
	collected := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			for info, err := range b.blobs.All(ctx) {
				if err == nil {
					// As though it had been stored long ago.
					err = b.collect(ctx, info.Hash, info.StoredAt.Add(-1))
				}
				if err != nil && ctx.Err() == nil {
					collected <- err
					return
				}
			}
		}
		collected <- nil
	}()
	for range 50 {
		pkg, err := b.Build(t.Context(), Source{Archive: bytes.NewReader(archive)}, accept)
		if err != nil {
			t.Fatal(err)
		}
		r, _, err := b.blobs.Open(t.Context(), pkg.Hash)
		if err != nil {
			t.Fatalf("the package of a build was collected: %v", err)
		}
		_ = r.Close()
	}
	stop()
	if err := <-collected; err != nil {
		t.Error(err)
	}
}
