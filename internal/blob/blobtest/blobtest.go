// Package blobtest specifies blob.Store. Every implementation passes it.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/blob"
)

const room = int64(1 << 20)

// Run runs the suite. open makes an empty store; the test's cleanup closes it.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	cases := []struct {
		name string
		run  func(t *testing.T, s blob.Store)
	}{
		{"what was put is read back", roundTrip},
		{"an empty blob is a blob", empty},
		{"the same content is stored once and renewed", twice},
		{"a blob of exactly the bound fits", exactBound},
		{"over the bound is too large and leaves nothing", overBound},
		{"a failing reader leaves nothing and its error is kept", failingReader},
		{"a cancelled context leaves nothing", cancelled},
		{"what is not there is not found", missing},
		{"a garbled hash is not found", garbled},
		{"deleting twice is no error", deleteTwice},
		{"all yields every blob and can be stopped", all},
		{"a reader outlives the deletion of its blob", readWhileDeleted},
		{"many writers of few blobs", concurrent},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, open(t))
		})
	}
}

func roundTrip(t *testing.T, s blob.Store) {
	content := bytes.Repeat([]byte("nimbus\x00"), 50_000)
	before := time.Now()
	info := put(t, s, content)
	sum := sha256.Sum256(content)
	if want := hex.EncodeToString(sum[:]); info.Hash != want {
		t.Errorf("hash = %s, want %s", info.Hash, want)
	}
	if info.Size != int64(len(content)) {
		t.Errorf("size = %d, want %d", info.Size, len(content))
	}
	if age := info.StoredAt.Sub(before); age < -time.Second || age > time.Minute {
		t.Errorf("stored at %v, put at %v", info.StoredAt, before)
	}
	r, opened, err := s.Open(t.Context(), info.Hash)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if opened != info {
		t.Errorf("Open told %+v, Put %+v", opened, info)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, content) {
		t.Fatalf("read %d bytes, error %v; want the %d bytes that were put", len(got), err, len(content))
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("reading on gave %d, %v; want 0, EOF", n, err)
	}
}

func empty(t *testing.T, s blob.Store) {
	info := put(t, s, nil)
	if got := read(t, s, info.Hash); len(got) != 0 {
		t.Errorf("read %q, want nothing", got)
	}
}

func twice(t *testing.T, s blob.Store) {
	first := put(t, s, []byte("same"))
	second := put(t, s, []byte("same"))
	if second.Hash != first.Hash || second.StoredAt.Before(first.StoredAt) {
		t.Errorf("second put gave %+v after %+v", second, first)
	}
	if got := list(t, s); len(got) != 1 {
		t.Errorf("there are %d blobs, want 1", len(got))
	}
}

func exactBound(t *testing.T, s blob.Store) {
	if _, err := s.Put(t.Context(), strings.NewReader("12345"), 5); err != nil {
		t.Error(err)
	}
}

func overBound(t *testing.T, s blob.Store) {
	_, err := s.Put(t.Context(), strings.NewReader("123456"), 5)
	wantCode(t, err, nimbus.CodeTooLarge)
	wantEmpty(t, s)
}

func failingReader(t *testing.T, s blob.Store) {
	broken := errors.New("the line broke")
	_, err := s.Put(t.Context(), io.MultiReader(strings.NewReader("half"), failing{broken}), room)
	if !errors.Is(err, broken) {
		t.Errorf("error = %v, want the reader's", err)
	}
	wantEmpty(t, s)
}

func cancelled(t *testing.T, s blob.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, strings.NewReader("late"), room); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
	wantEmpty(t, s)
}

func missing(t *testing.T, s blob.Store) {
	_, _, err := s.Open(t.Context(), strings.Repeat("0", 64))
	wantCode(t, err, nimbus.CodeNotFound)
}

func garbled(t *testing.T, s blob.Store) {
	put(t, s, []byte("something"))
	for _, hash := range []string{"", "abc", "../../../../etc/passwd", strings.Repeat("A", 64), strings.Repeat("/", 64)} {
		_, _, err := s.Open(t.Context(), hash)
		wantCode(t, err, nimbus.CodeNotFound)
		if err := s.Delete(t.Context(), hash); err != nil {
			t.Errorf("delete %q: %v", hash, err)
		}
	}
}

func deleteTwice(t *testing.T, s blob.Store) {
	info := put(t, s, []byte("short life"))
	for range 2 {
		if err := s.Delete(t.Context(), info.Hash); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := s.Open(t.Context(), info.Hash)
	wantCode(t, err, nimbus.CodeNotFound)
	wantEmpty(t, s)
}

func all(t *testing.T, s blob.Store) {
	want := map[string]blob.Info{}
	for i := range 20 {
		info := put(t, s, fmt.Appendf(nil, "blob %d", i))
		want[info.Hash] = info
	}
	got := list(t, s)
	if len(got) != len(want) {
		t.Errorf("there are %d blobs, want %d", len(got), len(want))
	}
	for hash, info := range got {
		if info != want[hash] {
			t.Errorf("All told %+v, Put %+v", info, want[hash])
		}
	}
	seen := 0
	for _, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 3 {
			break
		}
	}
	if seen != 3 {
		t.Errorf("saw %d blobs before stopping, want 3", seen)
	}
}

func readWhileDeleted(t *testing.T, s blob.Store) {
	content := bytes.Repeat([]byte("x"), 1<<18)
	info := put(t, s, content)
	r, _, err := s.Open(t.Context(), info.Hash)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := s.Delete(t.Context(), info.Hash); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err == nil && !bytes.Equal(got, content) {
		t.Error("a deleted blob was handed out as whole, but was not")
	}
}

func concurrent(t *testing.T, s blob.Store) {
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			content := fmt.Appendf(nil, "blob %d", i%4)
			info, err := s.Put(t.Context(), bytes.NewReader(content), room)
			if err != nil {
				t.Error(err)
				return
			}
			r, _, err := s.Open(t.Context(), info.Hash)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
				t.Errorf("read %q, %v; want %q", got, err, content)
			}
		})
	}
	wg.Wait()
	if got := list(t, s); len(got) != 4 {
		t.Errorf("there are %d blobs, want 4", len(got))
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func put(t *testing.T, s blob.Store, content []byte) blob.Info {
	t.Helper()
	info, err := s.Put(t.Context(), bytes.NewReader(content), room)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func read(t *testing.T, s blob.Store, hash string) []byte {
	t.Helper()
	r, _, err := s.Open(t.Context(), hash)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func list(t *testing.T, s blob.Store) map[string]blob.Info {
	t.Helper()
	got := map[string]blob.Info{}
	for info, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if _, again := got[info.Hash]; again {
			t.Errorf("blob %s was listed twice", info.Hash)
		}
		got[info.Hash] = info
	}
	return got
}

func wantEmpty(t *testing.T, s blob.Store) {
	t.Helper()
	if got := list(t, s); len(got) != 0 {
		t.Errorf("%d blobs were left behind", len(got))
	}
}

func wantCode(t *testing.T, err error, want nimbus.Code) {
	t.Helper()
	if got := nimbus.CodeOf(err); got != want {
		t.Errorf("error = %v, want code %s", err, want)
	}
}
