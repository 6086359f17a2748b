package main

import (
	"testing"
	"time"
)

func TestMomentIsAgoOrADate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"5m":                        now.Add(-5 * time.Minute),
		"0s":                        now,
		"2026-01-02T03:00:00Z":      time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC),
		"2026-01-02T03:00:00+02:00": time.Date(2026, 1, 2, 1, 0, 0, 0, time.UTC),
		"2026-01-02 03:00":          time.Date(2026, 1, 2, 3, 0, 0, 0, time.Local),
		"2026-01-02":                time.Date(2026, 1, 2, 0, 0, 0, 0, time.Local),
	} {
		var m moment
		if err := m.Set(text); err != nil || !m.before(now).Equal(want) {
			t.Errorf("%q is %s, %v; want %s", text, m.before(now), err, want)
		}
	}
	for _, text := range []string{"", "-5m", "yesterday", "5", "2026-13-01"} {
		if err := new(moment).Set(text); err == nil {
			t.Errorf("%q passed", text)
		}
	}
	if unset := new(moment); !unset.before(now).IsZero() {
		t.Error("no moment is a moment")
	}
}
