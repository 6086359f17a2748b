package main

import (
	"errors"
	"time"
)

// moment is a point in time on the command line: so long ago, or a date. It implements pflag.Value.
type moment struct {
	text string
	ago  time.Duration
	at   time.Time
}

// Set implements pflag.Value.
func (m *moment) Set(s string) error {
	m.text = s
	if ago, err := time.ParseDuration(s); err == nil {
		if ago < 0 {
			return errors.New("must not lie in the future")
		}
		m.ago = ago
		return nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			m.at = at
			return nil
		}
	}
	return errors.New("must be a duration such as 5m, or a time such as 2006-01-02T15:04:05Z")
}

// String implements pflag.Value.
func (m *moment) String() string { return m.text }

// Type implements pflag.Value.
func (m *moment) Type() string { return "time" }

// before is the point in time, seen from now; zero when none was given.
func (m *moment) before(now time.Time) time.Time {
	if m.text == "" || !m.at.IsZero() {
		return m.at
	}
	return now.Add(-m.ago)
}
