package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// hidden stands for a secret that is set.
const hidden = "(hidden)"

// Value is a setting and what it is set to, as one would write it.
type Value struct {
	Key
	Value string // "(hidden)" for a secret that is set; of URLs without their passwords
}

// Values lists what every setting is set to, in the order of the documents.
func (c Config) Values() []Value {
	all := settings()
	values := make([]Value, len(all))
	for i := range all {
		values[i] = Value{Key: all[i].Key, Value: all[i].shown(&c)}
	}
	return values
}

// Change is a setting whose value differs between two configurations.
type Change struct {
	Name string
	From string
	To   string
}

// Reloaded is what reading the configuration again gives a server that runs.
type Reloaded struct {
	Config  Config   // to go on with: what ran, with the live settings as they are now
	Changed []Change // of live settings
	Pending []Change // of those that take a restart; they are not in Config
}

// Reload reads the sources again for a server that runs with a configuration. When they are wrong, or their
// live settings contradict those that need a restart, the error joins every problem.
func Reload(running Config, sources Sources) (Reloaded, error) {
	next, err := Load(sources)
	if err != nil {
		return Reloaded{}, err
	}
	out := Reloaded{Config: running}
	l := loader{settings: settings(), origins: make(map[string]string)}
	for i := range l.settings {
		s := &l.settings[i]
		l.origins[s.Name] = "with what still runs"
		was, is := s.show(&running), s.show(&next)
		if was == is {
			continue
		}
		change := Change{Name: s.Name, From: s.shown(&running), To: s.shown(&next)}
		if !s.Live {
			out.Pending = append(out.Pending, change)
			continue
		}
		if err := s.set(&out.Config, is); err != nil {
			return Reloaded{}, fmt.Errorf("%s: %w", s.Name, err)
		}
		out.Changed = append(out.Changed, change)
	}
	if l.check(&out.Config); len(l.problems) > 0 {
		return Reloaded{}, errors.Join(l.problems...)
	}
	return out, nil
}

// shown is the value for everybody's eyes.
func (s *setting) shown(c *Config) string {
	value := s.show(c)
	switch {
	case value != "" && s.Secret:
		return hidden
	case strings.Contains(value, "://"):
		return withoutPasswords(value)
	}
	return value
}

// withoutPasswords hides those in a URL, or a list of them.
func withoutPasswords(list string) string {
	items := strings.Split(list, ",")
	for i, item := range items {
		if u, err := url.Parse(item); err == nil && u.User != nil {
			items[i] = u.Redacted()
		}
	}
	return strings.Join(items, ",")
}
