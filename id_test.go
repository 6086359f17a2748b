package nimbus

import (
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestIDsIncreaseAcrossGoroutines(t *testing.T) {
	t.Parallel()
	const workers, each = 8, 2000
	made := make([][]ID, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range each {
				made[w] = append(made[w], NewID())
			}
		})
	}
	wg.Wait()
	seen := make(map[ID]bool)
	for _, ids := range made {
		if !slices.IsSortedFunc(ids, func(a, b ID) int { return slices.Compare(a[:], b[:]) }) {
			t.Fatal("one goroutine's ids are out of order")
		}
		for _, id := range ids {
			if seen[id] {
				t.Fatalf("%s was made twice", id)
			}
			seen[id] = true
		}
	}
}

func TestIDIsAUUIDv7(t *testing.T) {
	t.Parallel()
	now := time.Now().Add(time.Hour) // ahead of what other tests stamp
	id := newIDAt(now)
	if id[6]>>4 != 7 || id[8]>>6 != 2 {
		t.Errorf("%s has version %d and variant %d, want 7 and 2", id, id[6]>>4, id[8]>>6)
	}
	if got := id.Time(); got.UnixMilli() != now.UnixMilli() {
		t.Errorf("its time is %v, want %v", got, now)
	}
}

func TestIDTextForms(t *testing.T) {
	t.Parallel()
	id := NewID()
	text, err := json.Marshal(map[string]ID{"id": id, "none": {}})
	if err != nil {
		t.Fatal(err)
	}
	var back map[string]ID
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if back["id"] != id || !back["none"].IsZero() {
		t.Errorf("%s became %v", text, back)
	}
	for _, bad := range []string{"x", "0190163d-8694-739b-aea5-966c26f8ad9", "0190163d_8694-739b-aea5-966c26f8ad91",
		"0190163d-8694-739b-aea5-966c26f8ad9g", "0190163d-8694-739b-aea5-966c26f8ad911"} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("ParseID(%q) gave no error", bad)
		}
	}
}

func BenchmarkNewID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewID()
	}
}
