package build

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"nimbus"
)

// Whatever the bytes are, an archive is refused in words, or unpacks into what its tree told.
func FuzzReadZip(f *testing.F) {
	f.Add(makeZip(f, member{name: "handler.py", body: "def handle(event): pass"}))
	f.Add(makeZip(f, member{name: "a/"}, member{name: "a/b", mode: 0o755, body: strings.Repeat("x", 100)},
		member{name: "l", mode: fs.ModeSymlink | 0o777, body: "a/b"}))
	f.Add(makeZip(f, member{name: "l", mode: fs.ModeSymlink | 0o777, body: "../x"}))
	f.Add(makeZip(f, member{name: "/a"}, member{name: `..\b`}))
	f.Add(makeZip(f))
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		tree, err := readZip(bytes.NewReader(archive), int64(len(archive)), hostileLimits())
		var why refusal
		if err != nil {
			if !errors.As(err, &why) || !isPlain(string(why)) {
				t.Fatalf("refused with %q", err)
			}
			return
		}
		roundTrip(t, tree)
	})
}

// roundTrip packs a tree and unpacks it, and compares.
func roundTrip(t *testing.T, tree *tree) {
	var packed bytes.Buffer
	if err := pack(t.Context(), &packed, tree); err != nil {
		var why refusal
		if !errors.As(err, &why) {
			t.Fatalf("pack: %v", err)
		}
		return
	}
	outer := t.TempDir()
	dir := filepath.Join(outer, "tree")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unpack(t.Context(), &packed, dir); err != nil {
		t.Fatalf("unpack: %v", err)
	}
	var want, got []string
	for _, n := range tree.nodes {
		want = append(want, n.name+" "+(n.mode&^0o222).String())
	}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		got = append(got, filepath.ToSlash(name)+" "+(info.Mode()&^0o222).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Fatalf("unpacked %q, want %q", got, want)
	}
	if entries, err := os.ReadDir(outer); err != nil || len(entries) != 1 {
		t.Fatalf("outside there is %v, %v", entries, err)
	}
}

// The order and the directories of an archive are no part of its package.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[ab]/[ab]/[a-d]|[c-f]`), 1, 8, rapid.ID[string]).Draw(rt, "names")
		members := make([]member, len(names))
		for i, name := range names {
			members[i] = member{name: name, body: rapid.String().Draw(rt, "body")}
		}
		other := rapid.Permutation(members).Draw(rt, "order")
		for _, dir := range []string{"a/", "a/a/", "b/"} {
			used := slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, dir) })
			if used && rapid.Bool().Draw(rt, "list "+dir) {
				other = append(other, member{name: dir})
			}
		}
		if !bytes.Equal(packed(rt, makeZip(t, members...)), packed(rt, makeZip(t, other...))) {
			rt.Errorf("%v and %v are different packages", members, other)
		}
	})
}

func packed(t *rapid.T, archive []byte) []byte {
	tree, err := readZip(bytes.NewReader(archive), int64(len(archive)), nimbus.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := pack(t.Context(), &out, tree); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// isPlain reports whether text can be shown in a terminal and a log as it is.
func isPlain(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func FuzzScanModule(f *testing.F) {
	f.Add([]byte("def handle(event):\n    pass\n"))
	f.Add([]byte("'''\ndef a(): '"))
	f.Add([]byte("x = (\\\n# )\n"))
	f.Add([]byte("from a import (b as c,\n d)\r\nasync def"))
	f.Fuzz(func(t *testing.T, src []byte) {
		m := scanModule(src)
		for _, name := range slices.Concat(m.functions, m.others) {
			if name != "" && !bytes.Contains(src, []byte(name)) {
				t.Errorf("found %q, which is not there", name)
			}
		}
	})
}

// Links made at random never resolve to what the kernel would not, below the same root.
func TestResolveAsTheKernelDoes(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(root, "trial-")
		if err != nil {
			rt.Fatal(err)
		}
		tr := &tree{byName: map[string]*node{}}
		for _, d := range []string{"a", "a/b", "c"} {
			tr.byName[d] = &node{name: d, mode: dirMode}
			if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
				rt.Fatal(err)
			}
		}
		for _, l := range []string{"l", "m", "a/n", "a/b/o"} {
			target := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"..", ".", "a", "b", "c", "l", "m", "n", "o"}), 1, 5).
				Draw(rt, "target of "+l), "/")
			tr.byName[l] = &node{name: l, mode: linkMode, target: target}
			if err := os.Symlink(target, filepath.Join(dir, l)); err != nil {
				rt.Fatal(err)
			}
		}
		for _, l := range []string{"l", "m", "a/n", "a/b/o"} {
			steps := maxSteps
			mine, err := tr.resolve(l, &steps)
			real, evalErr := filepath.EvalSymlinks(filepath.Join(dir, l))
			if evalErr != nil {
				continue // a loop, or it leads nowhere
			}
			inside := real == dir || strings.HasPrefix(real, dir+"/")
			switch {
			case !inside && err == nil:
				rt.Fatalf("%s ends at %s, outside; resolved to %s", l, real, mine)
			case err == nil && filepath.Join(dir, mine) != real:
				rt.Fatalf("%s ends at %s, resolved to %s", l, real, mine)
			case errors.Is(err, errLoop):
				rt.Fatalf("%s ends at %s, but was taken for a loop", l, real)
			}
		}
	})
}

func TestLimitsAreObeyedTogether(t *testing.T) {
	t.Parallel()
	limits := nimbus.DefaultLimits()
	limits.ArchiveFile = 3
	for count, ok := range map[int]bool{3: true, 4: false} {
		members := make([]member, count)
		for i := range members {
			members[i].name = string(rune('a' + i))
		}
		archive := makeZip(t, members...)
		if _, err := readZip(bytes.NewReader(archive), int64(len(archive)), limits); (err == nil) != ok {
			t.Errorf("%d entries where 3 are allowed: %v", count, err)
		}
	}
}
