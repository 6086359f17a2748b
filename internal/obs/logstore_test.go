package obs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nimbus"
	"nimbus/internal/testenv"
)

// epoch is when the tests' lines were printed.
var epoch = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

// logs is a store under test. It runs from run until stop, or the end of the test.
type logs struct {
	*LogStore
	t    *testing.T
	stop func()
}

func openLogs(t *testing.T, dir string, cfg LogConfig) *logs {
	t.Helper()
	if cfg.FlushInterval == 0 {
		cfg.FlushInterval = time.Millisecond
	}
	s, err := OpenLogStore(dir, cfg, slog.New(slog.NewTextHandler(t.Output(), nil)), NewMetrics())
	if err != nil {
		t.Fatal(err)
	}
	return &logs{LogStore: s, t: t}
}

func (l *logs) run() *logs {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	l.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Errorf("run: %v", err)
		}
	})
	l.t.Cleanup(l.stop)
	return l
}

// written waits until nothing is in memory alone.
func (l *logs) written() {
	l.t.Helper()
	testenv.Eventually(l.t, 10*time.Second, func() bool { return l.pending.Load() == 0 })
}

func (l *logs) query(q LogQuery) nimbus.List[LogLine] {
	l.t.Helper()
	list, err := l.Query(l.t.Context(), q)
	if err != nil {
		l.t.Fatalf("query %+v: %v", q, err)
	}
	return list
}

// all pages through everything a query selects.
func (l *logs) all(q LogQuery) []LogLine {
	l.t.Helper()
	var lines []LogLine
	for {
		page := l.query(q)
		lines = append(lines, page.Items...)
		if page.Next == "" {
			return lines
		}
		q.Cursor = page.Next
	}
}

// tail is the last lines a query selects.
func (l *logs) tail(q LogQuery) []LogLine {
	l.t.Helper()
	cursor, err := l.Tail(l.t.Context(), q)
	if err != nil {
		l.t.Fatal(err)
	}
	if cursor == "" {
		return nil
	}
	q.Cursor = cursor
	return l.query(q).Items
}

func (l *logs) dropped() string {
	l.t.Helper()
	for line := range strings.SplitSeq(scrape(l.t, l.metrics), "\n") {
		if n, ok := strings.CutPrefix(line, "nimbus_log_lines_dropped_total "); ok {
			return n
		}
	}
	return ""
}

// numbered returns lines "line 0" … one second apart, ten to an invocation.
func numbered(function nimbus.ID, from, to int, calls []nimbus.ID) []LogLine {
	lines := make([]LogLine, 0, to-from)
	for i := from; i < to; i++ {
		line := LogLine{Time: epoch.Add(time.Duration(i) * time.Second), Function: function, Version: 3,
			Instance: "i1", Stream: StreamStdout, Text: fmt.Sprintf("line %d", i)}
		if len(calls) > 0 {
			line.Invocation = calls[i/10]
		}
		lines = append(lines, line)
	}
	return lines
}

func newIDs(n int) []nimbus.ID {
	ids := make([]nimbus.ID, n)
	for i := range ids {
		ids[i] = nimbus.NewID()
	}
	return ids
}

func texts(lines []LogLine) []string {
	out := make([]string, len(lines))
	for i := range lines {
		out[i] = lines[i].Text
	}
	return out
}

func wantTexts(t *testing.T, got []LogLine, from, to int) {
	t.Helper()
	want := make([]string, 0, to-from)
	for i := from; i < to; i++ {
		want = append(want, fmt.Sprintf("line %d", i))
	}
	if diff := cmp.Diff(want, texts(got)); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestLogLineComesBackWhole(t *testing.T) {
	t.Parallel()
	dir, id := t.TempDir(), nimbus.NewID()
	want := []LogLine{
		{Time: epoch.Add(1234567 * time.Nanosecond), Function: id, Version: 7, Invocation: nimbus.NewID(), Instance: "i-1",
			Stream: StreamStderr, Text: "müde \x00 \xff", Truncated: true},
		{Time: epoch, Function: id, Stream: StreamPlatform},
	}
	l := openLogs(t, dir, LogConfig{})
	l.Append(want...)
	want[0].Time = epoch.Add(1234 * time.Microsecond)
	ignoreSeq := cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Seq" }, cmp.Ignore())
	inMemory := l.query(LogQuery{Function: id})
	if diff := cmp.Diff(want, inMemory.Items, ignoreSeq); diff != "" {
		t.Errorf("in memory (-want +got):\n%s", diff)
	}
	l.run().written()
	if diff := cmp.Diff(inMemory, l.query(LogQuery{Function: id})); diff != "" {
		t.Errorf("on disk (-in memory +on disk):\n%s", diff)
	}
	l.stop()
	if diff := cmp.Diff(inMemory, openLogs(t, dir, LogConfig{}).run().query(LogQuery{Function: id})); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
}

func TestLogQuerySelects(t *testing.T) {
	t.Parallel()
	const lines = 3000
	id, calls := nimbus.NewID(), newIDs(lines/10)
	for _, c := range []struct {
		name string
		cfg  LogConfig
		runs bool
	}{
		{"in memory", LogConfig{}, false},
		{"one segment", LogConfig{}, true},
		{"many segments", LogConfig{SegmentBytes: 10_000}, true},
		{"every log unloaded", LogConfig{SegmentBytes: 10_000, OpenFunctions: 1}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := openLogs(t, t.TempDir(), c.cfg)
			l.Append(numbered(id, 0, lines, calls)...)
			if c.runs {
				l.run().written()
				l.Append(numbered(nimbus.NewID(), 0, 1, nil)...)
				l.written()
			}
			wantTexts(t, l.all(LogQuery{Function: id, Limit: 700}), 0, lines)
			wantTexts(t, l.all(LogQuery{Function: id, Invocation: calls[200]}), 2000, 2010)
			wantTexts(t, l.all(LogQuery{Function: id, Since: epoch.Add(2900 * time.Second)}), 2900, lines)
			wantTexts(t, l.all(LogQuery{Function: id, Until: epoch.Add(30 * time.Second)}), 0, 30)
			wantTexts(t, l.all(LogQuery{Function: id, Since: epoch.Add(100 * time.Second),
				Until: epoch.Add(1500 * time.Second), Limit: 1000}), 100, 1500)
			wantTexts(t, l.all(LogQuery{Function: id, Invocation: nimbus.NewID()}), 0, 0)
			wantTexts(t, l.all(LogQuery{Function: nimbus.NewID()}), 0, 0)
			first := l.query(LogQuery{Function: id, Limit: 5})
			wantTexts(t, first.Items, 0, 5)
			wantTexts(t, l.query(LogQuery{Function: id, Limit: 5, Cursor: first.Items[1].Cursor()}).Items, 2, 7)
			if exact := l.query(LogQuery{Function: id, Invocation: calls[1], Limit: 10}); exact.Next != "" {
				t.Error("the last page has a next one")
			}
			for _, limit := range []int{1, 10, 999} {
				wantTexts(t, l.tail(LogQuery{Function: id, Limit: limit}), lines-limit, lines)
			}
			wantTexts(t, l.tail(LogQuery{Function: id, Invocation: calls[7], Limit: 3}), 77, 80)
			wantTexts(t, l.tail(LogQuery{Function: id, Invocation: nimbus.NewID(), Limit: 3}), 0, 0)
		})
	}
}

func TestLogQueryIsChecked(t *testing.T) {
	t.Parallel()
	l := openLogs(t, t.TempDir(), LogConfig{})
	for field, q := range map[string]LogQuery{
		"function": {},
		"limit":    {Function: nimbus.NewID(), Limit: MaxLogLimit + 1},
		"cursor":   {Function: nimbus.NewID(), Cursor: "?"},
	} {
		_, err := l.Query(t.Context(), q)
		_, tailErr := l.Tail(t.Context(), q)
		var e *nimbus.Error
		if !errors.As(err, &e) || e.Code != nimbus.CodeInvalid || e.Fields[0].Field != field {
			t.Errorf("query %+v: %v", q, err)
		}
		if field != "cursor" && nimbus.CodeOf(tailErr) != nimbus.CodeInvalid {
			t.Errorf("tail %+v: %v", q, tailErr)
		}
		if field == "limit" {
			continue // a follower has none
		}
		for _, err := range l.Follow(t.Context(), q) {
			if nimbus.CodeOf(err) != nimbus.CodeInvalid {
				t.Errorf("follow %+v: %v", q, err)
			}
			break
		}
	}
}

func TestLogTornEndIsCut(t *testing.T) {
	t.Parallel()
	id := nimbus.NewID()
	for name, tear := range map[string]func(path string, size int64) error{
		"half a frame": func(path string, size int64) error { return os.Truncate(path, size-5) },
		"zeros":        func(path string, size int64) error { return os.Truncate(path, size+4096) },
		"garbage": func(path string, _ int64) error {
			file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = file.WriteString("garbage that is long enough for a header")
			return errors.Join(err, file.Close())
		},
		"no header": func(path string, _ int64) error { return os.Truncate(path, 10) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l := openLogs(t, dir, LogConfig{SegmentBytes: 2000}).run()
			l.Append(numbered(id, 0, 100, nil)...)
			l.stop()
			paths, err := filepath.Glob(filepath.Join(dir, id.String(), "*"+segmentSuffix))
			if err != nil || len(paths) < 2 {
				t.Fatal(paths, err)
			}
			last := paths[len(paths)-1]
			info, err := os.Stat(last)
			if err != nil {
				t.Fatal(err)
			}
			if err := tear(last, info.Size()); err != nil {
				t.Fatal(err)
			}
			l = openLogs(t, dir, LogConfig{SegmentBytes: 2000}).run()
			left := l.all(LogQuery{Function: id})
			if len(left) < 50 || name != "half a frame" && name != "no header" && len(left) != 100 {
				t.Fatalf("%d lines are left", len(left))
			}
			wantTexts(t, left, 0, len(left))
			l.Append(numbered(id, len(left), 200, nil)...)
			l.written()
			wantTexts(t, l.all(LogQuery{Function: id}), 0, 200)
		})
	}
}

func TestLogIndexIsMadeAgain(t *testing.T) {
	t.Parallel()
	dir, id, calls := t.TempDir(), nimbus.NewID(), newIDs(100)
	l := openLogs(t, dir, LogConfig{SegmentBytes: 5000}).run()
	l.Append(numbered(id, 0, 1000, calls)...)
	l.stop()
	indexes, err := filepath.Glob(filepath.Join(dir, id.String(), "*"+indexSuffix))
	if err != nil || len(indexes) < 3 {
		t.Fatal(indexes, err)
	}
	if err := errors.Join(os.Remove(indexes[0]), os.WriteFile(indexes[1], []byte("damaged"), 0o600)); err != nil {
		t.Fatal(err)
	}
	l = openLogs(t, dir, LogConfig{}).run()
	wantTexts(t, l.all(LogQuery{Function: id, Invocation: calls[1]}), 10, 20)
	wantTexts(t, l.all(LogQuery{Function: id}), 0, 1000)
	for _, path := range indexes[:2] {
		if info, err := os.Stat(path); err != nil || info.Size() < indexFixedLen {
			t.Errorf("%s was not made again: %v", path, err)
		}
	}
}

func TestLogDamageCostsAChunk(t *testing.T) {
	t.Parallel()
	dir, id := t.TempDir(), nimbus.NewID()
	l := openLogs(t, dir, LogConfig{SegmentBytes: 3 * chunkBytes}).run()
	l.Append(numbered(id, 0, 5000, nil)...)
	l.stop()
	paths, _ := filepath.Glob(filepath.Join(dir, id.String(), "*"+segmentSuffix))
	file, err := os.OpenFile(paths[0], os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteAt([]byte("damage"), chunkBytes+chunkBytes/2)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	left := openLogs(t, dir, LogConfig{}).run().all(LogQuery{Function: id})
	if missing := 5000 - len(left); missing == 0 || missing > chunkBytes/30 {
		t.Errorf("%d lines are missing", missing)
	}
	if left[0].Text != "line 0" || left[len(left)-1].Text != "line 4999" {
		t.Errorf("from %q to %q", left[0].Text, left[len(left)-1].Text)
	}
}

func TestLogMemoryIsBounded(t *testing.T) {
	t.Parallel()
	noisy, quiet := nimbus.NewID(), nimbus.NewID()
	l := openLogs(t, t.TempDir(), LogConfig{FunctionPendingBytes: 3000, PendingBytes: 5000})
	l.Append(numbered(noisy, 0, 100, nil)...)
	l.Append(numbered(quiet, 0, 2, nil)...)
	wantTexts(t, l.query(LogQuery{Function: quiet}).Items, 0, 2)
	kept := len(l.query(LogQuery{Function: noisy}).Items)
	if kept == 0 || kept > 20 {
		t.Fatalf("%d lines in 3000 bytes", kept)
	}
	if got, want := l.dropped(), fmt.Sprint(100-kept); got != want {
		t.Errorf("%s lines counted as dropped, want %s", got, want)
	}
	l.run().written()
	l.Append(numbered(noisy, 100, 101, nil)...)
	got := texts(l.all(LogQuery{Function: noisy}))
	note := fmt.Sprintf("%d log lines are missing here: they came faster than they could be written", 100-kept)
	if diff := cmp.Diff([]string{note, "line 100"}, got[kept:]); diff != "" {
		t.Errorf("after the drop (-want +got):\n%s", diff)
	}
	crowd := newIDs(10)
	l.stop()
	l = openLogs(t, t.TempDir(), LogConfig{FunctionPendingBytes: 3000, PendingBytes: 5000})
	for _, id := range crowd {
		l.Append(numbered(id, 0, 10, nil)...)
	}
	if l.pending.Load() > 5000 || l.dropped() == "0" {
		t.Errorf("%d bytes wait, %s lines dropped", l.pending.Load(), l.dropped())
	}
}

func TestLogDiskFullHeals(t *testing.T) {
	t.Parallel()
	disk, id := testenv.TinyDisk(t, 1<<20), nimbus.NewID()
	ballast := filepath.Join(disk, "ballast")
	l := openLogs(t, filepath.Join(disk, "logs"), LogConfig{RetryInterval: time.Millisecond}).run()
	l.Append(numbered(id, 0, 10, nil)...)
	l.written()
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err == nil {
		t.Fatal("2 MiB went on a disk of 1 MiB")
	}
	l.Append(numbered(id, 10, 2000, nil)...)
	wantTexts(t, l.all(LogQuery{Function: id}), 0, 2000) // reads go on
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	l.written()
	wantTexts(t, l.all(LogQuery{Function: id}), 0, 2000)
	l.stop()
	wantTexts(t, openLogs(t, filepath.Join(disk, "logs"), LogConfig{}).run().all(LogQuery{Function: id}), 0, 2000)
}

func TestLogDelete(t *testing.T) {
	t.Parallel()
	dir, id, other := t.TempDir(), nimbus.NewID(), nimbus.NewID()
	l := openLogs(t, dir, LogConfig{SegmentBytes: 500}).run()
	l.Append(numbered(id, 0, 100, nil)...)
	l.Append(numbered(other, 0, 3, nil)...)
	l.written()
	l.Append(numbered(id, 100, 110, nil)...)
	followed := make(chan int)
	go func() {
		n := 0
		for range l.Follow(t.Context(), LogQuery{Function: id}) {
			if n++; n == 110 {
				followed <- n
			}
		}
		close(followed)
	}()
	<-followed
	if err := l.DeleteFunction(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	<-followed // closed: the follower came to an end
	if _, err := os.Stat(filepath.Join(dir, id.String())); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
	wantTexts(t, l.all(LogQuery{Function: id}), 0, 0)
	wantTexts(t, l.all(LogQuery{Function: other}), 0, 3)
	l.written()
}

func TestLogStopDrains(t *testing.T) {
	t.Parallel()
	dir, id := t.TempDir(), nimbus.NewID()
	l := openLogs(t, dir, LogConfig{FlushInterval: time.Hour}).run()
	l.Append(numbered(id, 0, 50, nil)...)
	l.stop()
	if _, err := l.Query(t.Context(), LogQuery{Function: id}); nimbus.CodeOf(err) != nimbus.CodeUnavailable {
		t.Errorf("a query after the stop: %v", err)
	}
	l.Append(numbered(id, 50, 51, nil)...)
	if got := l.dropped(); got != "1" {
		t.Errorf("%s lines dropped after the stop, want 1", got)
	}
	wantTexts(t, openLogs(t, dir, LogConfig{}).run().all(LogQuery{Function: id}), 0, 50)
}

func TestLogOpenFilesAreBounded(t *testing.T) {
	t.Parallel()
	l := openLogs(t, t.TempDir(), LogConfig{OpenFunctions: 4}).run()
	ids := newIDs(40)
	for round := range 3 {
		for _, id := range ids {
			l.Append(numbered(id, round*5, round*5+5, nil)...)
		}
		l.written()
	}
	open := 0
	for _, id := range ids {
		wantTexts(t, l.all(LogQuery{Function: id}), 0, 15)
	}
	for _, id := range ids {
		f := l.function(id)
		if err := f.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		if f.file != nil {
			open++
		}
		f.release()
	}
	if open != 4 {
		t.Errorf("%d files are open, want 4", open)
	}
}
