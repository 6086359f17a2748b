package build

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"nimbus"
)

func TestTreeIsSharedAndReadOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t, nimbus.DefaultLimits())
	pkg := b.build(t, member{name: "a.py", body: "a"}, member{name: "d/x", mode: 0o755, body: "x"}, member{name: "e/"},
		member{name: "l", mode: fs.ModeSymlink | 0o777, body: "d/x"})
	dir, err := b.cache.Dir(t.Context(), pkg)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{
		".": fs.ModeDir | 0o555, "a.py": 0o444, "d": fs.ModeDir | 0o555, "d/x": 0o555, "e": fs.ModeDir | 0o555,
		"l": fs.ModeSymlink | 0o777,
	} {
		st, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode() != want {
			t.Errorf("mode of %s = %v, want %v", name, st.Mode(), want)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "l")); err != nil || string(got) != "x" {
		t.Errorf("through the link: %q, %v", got, err)
	}
}

func TestUnpackedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, nimbus.DefaultLimits())
	pkg := b.build(t, member{name: "a.py", body: strings.Repeat("a", 100_000)})
	if err := b.cache.Evict(t.Context(), nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			dir, err := b.cache.Dir(t.Context(), pkg)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := os.ReadFile(filepath.Join(dir, "a.py")); err != nil || len(got) != 100_000 {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	if left := b.left(t); len(left) != 2 {
		t.Errorf("left: %v", left)
	}
}

// A caller that gives up does not fail those that wait for the same tree.
func TestImpatientCallerFailsAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t, nimbus.DefaultLimits())
	pkg := b.build(t, member{name: "a.py", body: "a"})
	if err := b.cache.Evict(t.Context(), nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := b.cache.Dir(gone, pkg); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := b.cache.Dir(t.Context(), pkg); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if err := b.cache.Evict(t.Context(), nil, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEvictWhileWanted(t *testing.T) {
	t.Parallel()
	b := newBench(t, nimbus.DefaultLimits())
	pkg := b.build(t, member{name: "a.py", body: "a"}, member{name: "d/b.py", body: "b"})
	ctx, stop := context.WithCancel(t.Context())
	evicted := make(chan error, 1)
	go func() {
		var err error
		for ctx.Err() == nil && err == nil {
			if err = b.cache.Evict(ctx, nil, time.Now()); ctx.Err() != nil {
				err = nil
			}
		}
		evicted <- err
	}()
	for range 300 {
		if _, err := b.cache.Dir(t.Context(), pkg); err != nil {
			t.Errorf("wanted while evicted: %v", err)
			break
		}
	}
	stop()
	if err := <-evicted; err != nil {
		t.Error(err)
	}
}

func TestCorruptBlobCachesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, nimbus.DefaultLimits())
	pkg := b.build(t, member{name: "a.py", body: "print('whole')"})
	if err := b.cache.Evict(t.Context(), nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(b.root, "blobs", pkg.Hash[:2], pkg.Hash[2:4], pkg.Hash)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// An archive that is well-formed, and yet is not the one asked for: only the hash tells.
	other := b.build(t, member{name: "a.py", body: "print('other')"})
	forged, err := os.ReadFile(filepath.Join(b.root, "blobs", other.Hash[:2], other.Hash[2:4], other.Hash))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"another archive": forged, "cut short": whole[:len(whole)/2], "empty": nil, "grown": append(bytes.Clone(whole), "tail"...),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if dir, err := b.cache.Dir(t.Context(), pkg); err == nil {
			t.Errorf("%s: unpacked to %s", name, dir)
		}
		if _, err := os.Stat(b.cache.path(pkg.Hash)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a tree was cached", name)
		}
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.cache.Dir(t.Context(), pkg); err != nil {
		t.Errorf("healed, and yet: %v", err)
	}
}

// Whatever an archive says, nothing is written outside its directory.
func TestUnpackStaysInside(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string][]tar.Header{
		"parent path":   {{Name: "../evil", Typeflag: tar.TypeReg}},
		"absolute path": {{Name: "/evil", Typeflag: tar.TypeReg}},
		"device":        {{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}},
		"fifo":          {{Name: "pipe", Typeflag: tar.TypeFifo}},
		"hard link":     {{Name: "h", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}},
		"file twice":    {{Name: "a", Typeflag: tar.TypeReg}, {Name: "a", Typeflag: tar.TypeReg}},
		"a link's name": {{Name: "../l", Typeflag: tar.TypeSymlink, Linkname: "x"}},
		"through links": {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: ".."}, {Name: "l/evil", Typeflag: tar.TypeReg}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var packed bytes.Buffer
			z, err := zstd.NewWriter(&packed)
			if err != nil {
				t.Fatal(err)
			}
			w := tar.NewWriter(z)
			for _, h := range headers {
				if err := w.WriteHeader(&h); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(w.Close(), z.Close()); err != nil {
				t.Fatal(err)
			}
			outer := t.TempDir()
			inner := filepath.Join(outer, "inner")
			if err := os.Mkdir(inner, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := unpack(t.Context(), &packed, inner); err == nil {
				t.Error("it was unpacked")
			}
			if entries, err := os.ReadDir(outer); err != nil || len(entries) != 1 {
				t.Errorf("outside there is %v, %v", entries, err)
			}
		})
	}
}

func TestReopeningKeepsTreesOfThisBoot(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	b := newBenchAt(t, root, nimbus.DefaultLimits())
	pkg := b.build(t, member{name: "a.py", body: "a"})
	unfinished := filepath.Join(b.cache.trees(), makePrefix+"1")
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := b.blobs.Delete(t.Context(), pkg.Hash); err != nil { // so that it can't be unpacked again
		t.Fatal(err)
	}
	b = newBenchAt(t, root, nimbus.DefaultLimits())
	if _, err := os.Stat(b.cache.path(pkg.Hash)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.cache.Dir(t.Context(), pkg); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(unfinished); !errors.Is(err, fs.ErrNotExist) {
		t.Error("what was being made is still among the trees")
	}
	if err := b.cache.Evict(t.Context(), map[string]struct{}{pkg.Hash: {}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if left := b.left(t); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

func TestTreesOfAnotherBootAreNotTrusted(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	b := newBenchAt(t, root, nimbus.DefaultLimits())
	pkg := b.build(t, member{name: "a.py", body: "whole"})
	torn := filepath.Join(b.cache.path(pkg.Hash), "a.py")
	if err := os.Chmod(torn, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(torn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "code", "boot"), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	b = newBenchAt(t, root, nimbus.DefaultLimits())
	tree, err := b.Tree(t.Context(), pkg)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fs.ReadFile(tree, "a.py"); err != nil || string(got) != "whole" {
		t.Errorf("read %q, %v", got, err)
	}
	if err := b.cache.Evict(t.Context(), map[string]struct{}{pkg.Hash: {}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if left := b.left(t); len(left) != 2 {
		t.Errorf("left: %v", left)
	}
}

func BenchmarkUnpackSmall(b *testing.B) {
	bench := newBench(b, nimbus.DefaultLimits())
	pkg := bench.build(b, member{name: "handler.py", body: "def handle(event):\n    return event\n"},
		member{name: "lib/__init__.py"}, member{name: "lib/data.json", body: strings.Repeat(`{"a":1}`, 500)})
	b.ReportAllocs()
	for b.Loop() {
		if err := bench.cache.Evict(b.Context(), nil, time.Now()); err != nil {
			b.Fatal(err)
		}
		if _, err := bench.cache.Dir(b.Context(), pkg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDirReady(b *testing.B) {
	bench := newBench(b, nimbus.DefaultLimits())
	pkg := bench.build(b, member{name: "handler.py", body: "x = 1"})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bench.cache.Dir(b.Context(), pkg); err != nil {
			b.Fatal(err)
		}
	}
}
