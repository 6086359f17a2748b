package main

import (
	"archive/zip"
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// writeTree makes files in a new directory. A text "-> target" makes a link.
func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, isLink := strings.CutPrefix(text, "-> "); isLink {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func zipDir(t *testing.T, dir string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := archiveDir(t.Context(), &out, dir); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// listZip maps names to "mode content".
func listZip(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]string{}
	for _, f := range r.File {
		body, err := fs.ReadFile(r, f.Name)
		if err != nil {
			rc, openErr := f.Open()
			if openErr != nil {
				t.Fatal(err, openErr)
			}
			body, err = io.ReadAll(rc)
			rc.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		entries[f.Name] = f.Mode().String() + " " + string(body)
	}
	return entries
}

func TestArchiveHoldsWhatIsDeployed(t *testing.T) {
	t.Parallel()
	dir := writeTree(t, map[string]string{
		"handler.py": "h", "lib/a.py": "a", "run.sh": "#!", "link.py": "-> lib/a.py", "lib/up": "-> ../handler.py",
		".git/config": "secret", "lib/__pycache__/a.pyc": "x", ".venv/bin/python": "-> /usr/bin/python3",
		"node_modules/.cache/x": "x", "node_modules/left/index.js": "js", "notes.md": "n", "lib/notes.md": "n",
		".env": "kept, as nothing says otherwise", ".nimbusignore": "/notes.md\n",
	})
	if err := os.Chmod(filepath.Join(dir, "run.sh"), 0o700); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"handler.py": "-rw-r--r-- h", "lib/a.py": "-rw-r--r-- a", "run.sh": "-rwxr-xr-x #!",
		"link.py": "Lrwxrwxrwx lib/a.py", "lib/up": "Lrwxrwxrwx ../handler.py",
		"node_modules/left/index.js": "-rw-r--r-- js", "lib/notes.md": "-rw-r--r-- n",
		".env": "-rw-r--r-- kept, as nothing says otherwise",
	}
	if diff := cmp.Diff(want, listZip(t, zipDir(t, dir))); diff != "" {
		t.Error(diff)
	}
}

func TestEqualTreesGiveEqualArchives(t *testing.T) {
	t.Parallel()
	files := map[string]string{"handler.py": "h", "b/x.py": "x", "a/y.py": "y"}
	one, other := writeTree(t, files), writeTree(t, files)
	long := time.Now().Add(-1000 * time.Hour)
	if err := os.Chtimes(filepath.Join(other, "handler.py"), long, long); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(other, "b", "x.py"), 0o664); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(zipDir(t, one), zipDir(t, other)) {
		t.Error("times or permissions changed the archive")
	}
	if err := os.Chmod(filepath.Join(other, "b", "x.py"), 0o775); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(zipDir(t, one), zipDir(t, other)) {
		t.Error("what is executable changed nothing")
	}
}

func TestArchiveRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		files map[string]string
		text  string
	}{
		"an empty directory":     {map[string]string{}, "has no file to deploy"},
		"nothing but the unsent": {map[string]string{".git/config": "x", "__pycache__/a": "x"}, "has no file to deploy"},
		"a bad ignore file":      {map[string]string{"a": "a", ".nimbusignore": "x\n[\n"}, ".nimbusignore: line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := archiveDir(t.Context(), io.Discard, writeTree(t, tt.files))
			if err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %q", err, tt.text)
			}
		})
	}
}

func TestArchiveIsBounded(t *testing.T) {
	t.Parallel()
	dir := writeTree(t, map[string]string{"a": "12345", "b": "12345"})
	a := archiver{zip: zip.NewWriter(io.Discard), left: 9}
	if err := a.addFile("a", filepath.Join(dir, "a"), os.Open); err != nil {
		t.Fatal(err)
	}
	if err := a.addFile("b", filepath.Join(dir, "b"), os.Open); err == nil || !strings.Contains(err.Error(), ignoreFile) {
		t.Errorf("10 bytes passed a bound of 9: %v", err)
	}
}
