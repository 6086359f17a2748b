package program

import (
	"os"
	"path/filepath"
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

func TestUnpackWithoutPrograms(t *testing.T) {
	t.Parallel()
	if _, err := unpack(fstest.MapFS{}, t.TempDir()); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("got %v", err)
	}
}
