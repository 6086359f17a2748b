package obs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nimbus"
)

func TestHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.StringMatching(`[aAbBZ@é\[]{0,12}`).Draw(r, "text")
		part := rapid.StringMatching(`[aAbBZ@é\[]{1,6}`).Draw(r, "part")
		ascii := func(s string) string {
			return strings.Map(func(c rune) rune {
				if 'A' <= c && c <= 'Z' {
					c += 'a' - 'A'
				}
				return c
			}, s)
		}
		want := strings.Contains(ascii(text), ascii(part))
		if s := newNeedle(part); holds(text, s) != want || holds([]byte(text), s) != want {
			r.Errorf("%q in %q: want %t", part, text, want)
		}
	})
}

// A search takes no longer for a text that is made for the log: compared at every place anew, this one would take
// a billion steps a megabyte.
func TestSearchForWhatIsMadeForTheLog(t *testing.T) {
	t.Parallel()
	line, sought := strings.Repeat("a", 64<<10), newNeedle(strings.Repeat("a", MaxLogText-1)+"b")
	begun := time.Now()
	for range 128 {
		if holds(line, sought) {
			t.Fatal("found what is not there")
		}
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("8 MiB took %s", took)
	}
}

// A search reads a bounded part of the log for each page, and pages together find every line once.
func TestLogSearch(t *testing.T) {
	t.Parallel()
	id := nimbus.NewID()
	l := openLogs(t, t.TempDir(), LogConfig{SegmentBytes: 4 * chunkBytes, SearchBytes: 2 * chunkBytes}).run()
	lines := numbered(id, 0, 20_000, nil)
	want := 0
	for i := range lines {
		if i%7000 == 500 {
			lines[i].Text += " Time-out of [Ada]"
			want++
		}
	}
	l.Append(lines...)
	l.written()
	l.Append(LogLine{Time: epoch, Function: id, Stream: StreamStderr, Text: "TIME-OUT of [ADA], in memory"})
	found, short, pages := 0, 0, 0
	for q := (LogQuery{Function: id, Contains: "time-OUT of [ada]"}); ; pages++ {
		page := l.query(q)
		for _, line := range page.Items {
			if found++; !strings.Contains(strings.ToLower(line.Text), "time-out of [ada]") {
				t.Errorf("found %q", line.Text)
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
		short++
	}
	if found != want+1 || short < 5 {
		t.Errorf("found %d lines on %d pages, %d of them short; want %d", found, pages, short, want+1)
	}
	if got := l.all(LogQuery{Function: id, Contains: "time-out", Stream: StreamStderr}); len(got) != 1 {
		t.Errorf("stderr has %q", texts(got))
	}
	if got := l.all(LogQuery{Function: id, Contains: "time-out", Until: epoch.Add(501 * time.Second)}); len(got) != 2 {
		t.Errorf("the first time has %q", texts(got))
	}
	if got := l.all(LogQuery{Function: id, Contains: "nothing says this"}); len(got) != 0 {
		t.Errorf("found %q", texts(got))
	}
	if got := l.tail(LogQuery{Function: id, Contains: "in memory", Limit: 1}); len(got) != 1 {
		t.Errorf("the last is %q", texts(got))
	}
	for _, q := range []LogQuery{
		{Function: id, Contains: "time-out", Limit: 100},      // some were found as far back as it looks
		{Function: id, Contains: "line 3 ", Limit: 1},         // none were
		{Function: id, Contains: "nothing at all", Limit: 10}, // none are
	} {
		cursor, err := l.Tail(t.Context(), q)
		if q.Cursor = cursor; err != nil || cursor == "" {
			t.Errorf("tail of %q: %q, %v", q.Contains, cursor, err)
		}
		l.all(q)
	}
}

// Lines that can't be read are passed over, also where a page ends.
func TestLogSearchPassesDamage(t *testing.T) {
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
	_, err = file.WriteAt([]byte("damage"), segmentHeaderLen+20)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	left := openLogs(t, dir, LogConfig{SearchBytes: 1}).run().all(LogQuery{Function: id, Contains: "line 4999"})
	if len(left) != 1 {
		t.Errorf("found %q", texts(left))
	}
}

// While a search goes on, lines are added and read.
func TestLogSearchHoldsUpNothing(t *testing.T) {
	t.Parallel()
	id := nimbus.NewID()
	l := openLogs(t, t.TempDir(), LogConfig{SegmentBytes: chunkBytes, SearchBytes: chunkBytes}).run()
	l.Append(numbered(id, 0, 5000, nil)...)
	l.written()
	seen := 0
	for line, err := range l.Follow(t.Context(), LogQuery{Function: id, Contains: "99"}) {
		if err != nil {
			t.Fatal(err)
		}
		if line.Text == "the end 99" {
			break
		}
		if seen++; seen > 20 {
			continue
		}
		l.Append(LogLine{Time: epoch, Function: id, Stream: StreamStdout, Text: fmt.Sprintf("meanwhile %d", seen)})
		l.written()
		if got := l.query(LogQuery{Function: id, Contains: fmt.Sprintf("meanwhile %d", seen), Cursor: cursorOf(line.Seq + 1)}); len(got.Items) == 0 && got.Next == "" {
			t.Fatalf("what was added after %q is not found", line.Text)
		}
		if seen == 20 {
			l.Append(LogLine{Time: epoch, Function: id, Stream: StreamStdout, Text: "the end 99"})
		}
	}
	if seen < 20 {
		t.Errorf("the follower found %d lines", seen)
	}
}

func TestLogSearchIsChecked(t *testing.T) {
	t.Parallel()
	l := openLogs(t, t.TempDir(), LogConfig{}).run()
	_, err := l.Query(t.Context(), LogQuery{Function: nimbus.NewID(), Contains: strings.Repeat("x", MaxLogText+1)})
	if nimbus.CodeOf(err) != nimbus.CodeInvalid {
		t.Errorf("a text over the bound: %v", err)
	}
}

// BenchmarkLogSearch reads one page's worth of log in which nothing is found.
func BenchmarkLogSearch(b *testing.B) {
	s := benchLogs(b, LogConfig{PendingBytes: nimbus.GiB, FunctionPendingBytes: nimbus.GiB})
	function := nimbus.NewID()
	lines := numbered(function, 0, 500_000, nil)
	for i := range lines {
		lines[i].Text += strings.Repeat(" and what else there is to say", 4)
	}
	s.Append(lines...)
	if err := s.flushAll(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(s.cfg.SearchBytes))
	for b.Loop() {
		page, err := s.Query(b.Context(), LogQuery{Function: function, Contains: "Nowhere to be found"})
		if err != nil || len(page.Items) > 0 || page.Next == "" {
			b.Fatal(err, page)
		}
	}
}
