package obs

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"nimbus"
)

func TestLogRetentionByAge(t *testing.T) {
	t.Parallel()
	dir, old, young := t.TempDir(), nimbus.NewID(), nimbus.NewID()
	l := openLogs(t, dir, LogConfig{MaxAge: time.Hour, SegmentBytes: 500}).run()
	l.Append(numbered(old, 0, 50, nil)...)
	l.Append(numbered(young, 0, 50, nil)...)
	l.written()
	now := time.Now()
	oldPaths, _ := filepath.Glob(filepath.Join(dir, old.String(), "*"))
	youngPaths, _ := filepath.Glob(filepath.Join(dir, young.String(), "*"+segmentSuffix))
	for _, path := range append(oldPaths, youngPaths[0]) {
		if err := os.Chtimes(path, time.Time{}, now.Add(-2*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.enforce(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	wantTexts(t, l.all(LogQuery{Function: old}), 0, 0)
	if _, err := os.Stat(filepath.Join(dir, old.String())); !os.IsNotExist(err) {
		t.Errorf("an empty directory stays: %v", err)
	}
	left := l.all(LogQuery{Function: young})
	if len(left) == 0 || len(left) == 50 {
		t.Fatalf("%d lines are left", len(left))
	}
	wantTexts(t, left, 50-len(left), 50)

	before := l.function(old).nextSeq
	l.Append(numbered(old, 50, 60, nil)...)
	l.written()
	again := l.all(LogQuery{Function: old})
	wantTexts(t, again, 50, 60)
	if again[0].Seq != before {
		t.Errorf("numbers go on at %d, want %d", again[0].Seq, before)
	}
}

func TestLogRetentionBySize(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := openLogs(t, dir, LogConfig{MaxBytes: 20_000, SegmentBytes: 1000}).run()
	ids := newIDs(4)
	for i := range 25 {
		for _, id := range ids {
			l.Append(numbered(id, i*10, i*10+10, nil)...)
		}
		l.written()
	}
	if err := l.enforce(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	var total int64
	paths, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > 20_000 || total < 10_000 {
		t.Errorf("%d bytes are left of 20000 allowed", total)
	}
	for _, id := range ids {
		left := l.all(LogQuery{Function: id})
		wantTexts(t, left, 250-len(left), 250)
	}
}

func TestLogRetentionRunsByItself(t *testing.T) {
	t.Parallel()
	dir, id := t.TempDir(), nimbus.NewID()
	l := openLogs(t, dir, LogConfig{MaxBytes: 5000, SegmentBytes: 500}).run()
	for i := 0; i < 2000; i += 10 {
		l.Append(numbered(id, i, i+10, nil)...)
	}
	l.written()
	l.stop() // joins the retention too
	l = openLogs(t, dir, LogConfig{MaxBytes: 5000, SegmentBytes: 500}).run()
	if left := l.all(LogQuery{Function: id}); len(left) == 0 || len(left) == 2000 {
		t.Errorf("%d lines of 2000 are left", len(left))
	}
}
