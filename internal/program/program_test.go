package program

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestUnpack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := Unpack(dir)
	if err != nil {
		t.Fatal(err) // make programs builds them
	}
	if err := os.WriteFile(first.Agent, []byte("damaged"), 0o755); err != nil {
		t.Fatal(err)
	}
	again, err := Unpack(dir)
	if err != nil || again != first {
		t.Fatalf("got %+v, %v; want %+v", again, err, first)
	}
	for _, path := range []string{first.Agent, first.Wasm} {
		info, err := os.Stat(path)
		if err != nil || info.Size() < 1000 || info.Mode().Perm() != 0o755 || !filepath.IsAbs(path) {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*", ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestRemoveOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bundle := func(text string) fstest.MapFS {
		all := fstest.MapFS{}
		for _, name := range []string{"nimbus-agent", "nimbus-wasm"} {
			all["bin/linux-"+runtime.GOARCH+"/"+name] = &fstest.MapFile{Data: []byte(name + text)}
		}
		return all
	}
	if _, err := unpack(bundle("old"), dir); err != nil {
		t.Fatal(err)
	}
	now, err := unpack(bundle("new"), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := now.RemoveOthers(dir); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	want := []string{now.Agent, now.Wasm}
	slices.Sort(want)
	if err != nil || !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v: %v", left, want, err)
	}
}

func TestUnpackWithoutPrograms(t *testing.T) {
	t.Parallel()
	if _, err := unpack(fstest.MapFS{}, t.TempDir()); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("got %v", err)
	}
}
