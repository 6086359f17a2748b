package obs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"nimbus"
)

func TestLogFollow(t *testing.T) {
	t.Parallel()
	id, calls := nimbus.NewID(), newIDs(40)
	l := openLogs(t, t.TempDir(), LogConfig{SegmentBytes: 2000}).run()
	l.Append(numbered(id, 0, 100, calls)...)
	l.written()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []LogLine
	for line, err := range l.Follow(ctx, LogQuery{Function: id, Since: epoch.Add(50 * time.Second)}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, line)
		switch len(got) {
		case 50: // caught up: what comes now is live
			l.Append(numbered(id, 100, 101, calls)...)
		case 51:
			l.Append(numbered(id, 101, 400, calls)...)
			l.written()
		case 350:
			cancel()
		}
	}
	wantTexts(t, got, 50, 400)

	var one []LogLine
	for line := range l.Follow(t.Context(), LogQuery{Function: id, Invocation: calls[9]}) {
		if one = append(one, line); len(one) == 10 {
			break
		}
	}
	wantTexts(t, one, 90, 100)
	for line := range l.Follow(t.Context(), LogQuery{Function: id, Cursor: one[4].Cursor()}) {
		wantTexts(t, []LogLine{line}, 95, 96)
		break
	}
}

func TestLogFollowTellsGaps(t *testing.T) {
	t.Parallel()
	dir, id := t.TempDir(), nimbus.NewID()
	l := openLogs(t, dir, LogConfig{SegmentBytes: 500, MaxAge: time.Hour}).run()
	l.Append(numbered(id, 0, 10, nil)...)
	var got []LogLine
	for line, err := range l.Follow(t.Context(), LogQuery{Function: id}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, line)
		if len(got) == 10 { // the follower is slow: meanwhile lines come and go
			l.Append(numbered(id, 10, 100, nil)...)
			l.written()
			now := time.Now()
			paths, _ := filepath.Glob(filepath.Join(dir, id.String(), "*"+segmentSuffix))
			for _, path := range paths[:len(paths)-1] {
				if err := os.Chtimes(path, time.Time{}, now.Add(-2*time.Hour)); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.enforce(t.Context(), now); err != nil {
				t.Fatal(err)
			}
		}
		if line.Text == "line 99" {
			break
		}
	}
	wantTexts(t, got[:10], 0, 10)
	if got[10].Stream != StreamPlatform || len(got) == 101 {
		t.Errorf("instead of a gap: %+v", got[10])
	}
	wantTexts(t, got[11:], 100-(len(got)-11), 100)
}

func TestLogHammer(t *testing.T) {
	t.Parallel()
	const writers, rounds = 4, 150
	l := openLogs(t, t.TempDir(), LogConfig{SegmentBytes: 3000, OpenFunctions: 2}).run()
	ids := newIDs(5)
	var crew sync.WaitGroup
	for w := range writers {
		crew.Go(func() {
			for i := range rounds {
				for _, id := range ids {
					l.Append(LogLine{Time: epoch, Function: id, Stream: StreamStdout, Instance: fmt.Sprint(w), Text: fmt.Sprint(i)})
				}
			}
		})
	}
	for _, id := range ids {
		crew.Go(func() { // each follower sees each writer's lines in order, once
			next, seen := make(map[string]int), 0
			for line, err := range l.Follow(t.Context(), LogQuery{Function: id}) {
				if err != nil {
					t.Error(err)
					return
				}
				if line.Text != fmt.Sprint(next[line.Instance]) {
					t.Errorf("writer %s: line %s, want %d", line.Instance, line.Text, next[line.Instance])
					return
				}
				next[line.Instance]++
				if seen++; seen == writers*rounds {
					return
				}
			}
		})
		crew.Go(func() {
			for range 20 {
				if _, err := l.Tail(t.Context(), LogQuery{Function: id, Limit: 50}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	crew.Wait()
	l.written()
	for _, id := range ids {
		if got := len(l.all(LogQuery{Function: id, Limit: 1000})); got != writers*rounds {
			t.Errorf("%d lines, want %d", got, writers*rounds)
		}
	}
}
