package config

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"nimbus/internal/obs"
)

// text is any text, the empty one included.
func text(bound string, field func(*Config) *string) kind {
	return kind{bound, func(c *Config, raw any) error {
		s, ok := raw.(string)
		if !ok {
			return mustBe(bound, raw)
		}
		*field(c) = s
		return nil
	}, func(c *Config) string { return *field(c) }}
}

// path is a name of a directory, which can't be empty.
func path(field func(*Config) *string) kind {
	const bound = "a path"
	return kind{bound, func(c *Config, raw any) error {
		s, ok := raw.(string)
		if !ok || s == "" || strings.ContainsRune(s, 0) {
			return mustBe(bound, raw)
		}
		*field(c) = s
		return nil
	}, func(c *Config) string { return *field(c) }}
}

func boolean(field func(*Config) *bool) kind {
	const bound = "true or false"
	return kind{bound, func(c *Config, raw any) error {
		switch fmt.Sprint(raw) {
		case "true":
			*field(c) = true
		case "false":
			*field(c) = false
		default:
			return mustBe(bound, raw)
		}
		return nil
	}, func(c *Config) string { return strconv.FormatBool(*field(c)) }}
}

// choice is one of some words.
func choice(field func(*Config) *string, words ...string) kind {
	bound := strings.Join(words, ", ")
	if i := strings.LastIndex(bound, ", "); i >= 0 {
		bound = bound[:i] + " or " + bound[i+2:]
	}
	return kind{bound, func(c *Config, raw any) error {
		s, ok := raw.(string)
		if !ok || !slices.Contains(words, s) {
			return mustBe(bound, raw)
		}
		*field(c) = s
		return nil
	}, func(c *Config) string { return *field(c) }}
}

func logLevel(field func(*Config) *slog.Level) kind {
	var word string
	k := choice(func(*Config) *string { return &word }, "debug", "info", "warn", "error")
	return kind{k.bound, func(c *Config, raw any) error {
		if err := k.set(c, raw); err != nil {
			return err
		}
		return field(c).UnmarshalText([]byte(word))
	}, func(c *Config) string { return strings.ToLower(field(c).String()) }}
}

func logFormat(field func(*Config) *obs.Format) kind {
	var word string
	k := choice(func(*Config) *string { return &word }, string(obs.FormatText), string(obs.FormatJSON))
	return kind{k.bound, func(c *Config, raw any) error {
		if err := k.set(c, raw); err != nil {
			return err
		}
		*field(c) = obs.Format(word)
		return nil
	}, func(c *Config) string { return string(*field(c)) }}
}

// address is host:port; port 0 = any free one.
func address(field func(*Config) *string) kind {
	const bound = "host:port"
	return kind{bound, func(c *Config, raw any) error {
		s, _ := raw.(string)
		_, port, err := net.SplitHostPort(s)
		if n, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || port != strconv.FormatUint(n, 10) {
			return mustBe(bound, raw)
		}
		*field(c) = s
		return nil
	}, func(c *Config) string { return *field(c) }}
}

// count is a whole number.
func count(least, most int, field func(*Config) *int) kind {
	bound := fmt.Sprintf("%d to %d", least, most)
	return kind{bound, func(c *Config, raw any) error {
		n, ok := integer(raw)
		if !ok || n < int64(least) || n > int64(most) {
			return mustBe(bound, raw)
		}
		*field(c) = int(n)
		return nil
	}, func(c *Config) string { return strconv.Itoa(*field(c)) }}
}

// size is a whole number of units, which the key names; the field gets bytes.
func size(unit, least, most int64, field func(*Config) *int64) kind {
	bound := fmt.Sprintf("%d to %d", least, most)
	return kind{bound, func(c *Config, raw any) error {
		n, ok := integer(raw)
		if !ok || n < least || n > most {
			return mustBe(bound, raw)
		}
		*field(c) = n * unit
		return nil
	}, func(c *Config) string { return strconv.FormatInt(*field(c)/unit, 10) }}
}

// duration is a time such as 1m30s or 7d.
func duration(least, most time.Duration, field func(*Config) *time.Duration) kind {
	bound := fmt.Sprintf("a duration, %s to %s", formatDuration(least), formatDuration(most))
	return kind{bound, func(c *Config, raw any) error {
		s, _ := raw.(string)
		d, err := parseDuration(s)
		if err != nil || d < least || d > most {
			return mustBe(bound, raw)
		}
		*field(c) = d
		return nil
	}, func(c *Config) string { return formatDuration(*field(c)) }}
}

const day = 24 * time.Hour

// parseDuration knows days as well, on their own.
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * day, err
	}
	return time.ParseDuration(s)
}

// formatDuration writes a duration without the parts that are zero.
func formatDuration(d time.Duration) string {
	if d >= 2*day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// integer reads a whole number as YAML, the environment or a flag gives it.
func integer(raw any) (int64, bool) {
	switch raw.(type) {
	case string, int, int64, uint64:
		n, err := strconv.ParseInt(fmt.Sprint(raw), 10, 64)
		return n, err == nil
	}
	return 0, false
}
