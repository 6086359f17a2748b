package dir

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"nimbus"
	"nimbus/internal/blob"
	"nimbus/internal/blob/blobtest"
	"nimbus/internal/testenv"
)

func TestStore(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, t.TempDir()) })
}

func TestSurvivesReopening(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	info, err := open(t, root).Put(t.Context(), strings.NewReader("kept"), 100)
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := open(t, root).Open(t.Context(), info.Hash)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "kept" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestOpenRemovesLeftovers(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	open(t, root)
	left := filepath.Join(root, tmpName, "put-123")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, root)
	if got := files(t, root); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

func TestCorruptBlob(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("whole"), 10_000)
	rot := map[string]func(t *testing.T, path string){
		"a flipped bit": func(t *testing.T, path string) {
			flipped := bytes.Clone(content)
			flipped[len(flipped)/2] ^= 1
			write(t, path, flipped)
		},
		"cut short": func(t *testing.T, path string) { write(t, path, content[:len(content)-1]) },
		"emptied":   func(t *testing.T, path string) { write(t, path, nil) },
		"grown":     func(t *testing.T, path string) { write(t, path, append(bytes.Clone(content), 'x')) },
	}
	for name, spoil := range rot {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir())
			info, err := s.Put(t.Context(), bytes.NewReader(content), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			spoil(t, s.path(info.Hash))
			if err := readAll(t, s, info.Hash); nimbus.CodeOf(err) != nimbus.CodeInternal {
				t.Errorf("error = %v, want code internal", err)
			}
			if _, err := s.Put(t.Context(), bytes.NewReader(content), 1<<20); err != nil {
				t.Fatal(err)
			}
			if err := readAll(t, s, info.Hash); err != nil {
				t.Errorf("putting it again did not heal it: %v", err)
			}
		})
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := testenv.TinyDisk(t, 256<<10)
	root := filepath.Join(disk, "blobs")
	s := open(t, root)
	small, err := s.Put(t.Context(), strings.NewReader("was there before"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	before := files(t, root)

	_, err = s.Put(t.Context(), bytes.NewReader(make([]byte, 512<<10)), 1<<20)
	if nimbus.CodeOf(err) != nimbus.CodeInsufficientStorage {
		t.Fatalf("error = %v, want code insufficient_storage", err)
	}
	if after := files(t, root); len(after) != len(before) {
		t.Errorf("left behind: %v, was %v", after, before)
	}

	write(t, filepath.Join(disk, "ballast"), nil)
	fill := make([]byte, 4<<10)
	f, err := os.OpenFile(filepath.Join(disk, "ballast"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(fill)
	}
	if err := readAll(t, s, small.Hash); err != nil {
		t.Errorf("reading on a full disk: %v", err)
	}
	_, err = s.Put(t.Context(), strings.NewReader("does not fit"), 1<<20)
	if nimbus.CodeOf(err) != nimbus.CodeInsufficientStorage {
		t.Errorf("error = %v, want code insufficient_storage", err)
	}
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), strings.NewReader("fits again"), 1<<20); err != nil {
		t.Errorf("there is room again, but: %v", err)
	}
}

func TestVerifiedReadsInAnySteps(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	content := bytes.Repeat([]byte("0123456789"), 1000)
	info, err := s.Put(t.Context(), bytes.NewReader(content), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := s.Open(t.Context(), info.Hash)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := iotest.TestReader(r, content); err != nil {
		t.Error(err)
	}
}

func open(t *testing.T, root string) *Store {
	t.Helper()
	s, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func readAll(t *testing.T, s *Store, hash string) error {
	t.Helper()
	r, _, err := s.Open(t.Context(), hash)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func files(t *testing.T, root string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
