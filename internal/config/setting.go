package config

import (
	"fmt"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Key describes one setting, for documents.
type Key struct {
	Name    string // server.listen
	Env     string // NIMBUS_SERVER_LISTEN
	Default string // as one would write it; "" = empty
	Bound   string // what a value must be
	Meaning string
	Live    bool // a reload changes it; else it takes a restart
	Secret  bool // its value is never shown
}

// Describe lists every setting in the order of the documents.
func Describe() []Key {
	all := settings()
	keys := make([]Key, len(all))
	for i := range all {
		keys[i] = all[i].Key
	}
	return keys
}

// setting is a Key and how its value gets into a Config, and out of it.
type setting struct {
	Key
	set  func(c *Config, raw any) error // the error says what the value must be
	show func(c *Config) string         // as one would write it; set takes it back
}

// kind is a type of values: its bound in words, how one is read and how it is written.
type kind struct {
	bound string
	set   func(c *Config, raw any) error
	show  func(c *Config) string
}

func newSetting(name, def string, k kind, meaning string) setting {
	return setting{set: k.set, show: k.show, Key: Key{Name: name, Env: envName(name), Default: def, Bound: k.bound, Meaning: meaning}}
}

// live marks a setting that a reload changes.
func (s setting) live() setting {
	s.Live = true
	return s
}

// allLive marks them all.
func allLive(all []setting) []setting {
	for i := range all {
		all[i].Live = true
	}
	return all
}

// secret marks a setting whose value is never shown.
func (s setting) secret() setting {
	s.Secret = true
	return s
}

func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// isSection reports whether there are keys below name.
func isSection(all []setting, name string) bool {
	for i := range all {
		if strings.HasPrefix(all[i].Name, name+".") {
			return true
		}
	}
	return false
}

// nearestKey returns the known key that looks most like name, as a whole or by its last part: a key that was
// put in the wrong section is found as well.
func nearestKey(all []setting, name string) string {
	best, distance := "", -1
	for i := range all {
		known := all[i].Name
		if strings.HasPrefix(name, known+".") {
			return known
		}
		d := min(levenshtein.ComputeDistance(name, known), 1+levenshtein.ComputeDistance(lastPart(name), lastPart(known)))
		if distance < 0 || d < distance {
			best, distance = known, d
		}
	}
	return best
}

func lastPart(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

func nearestEnv(all []setting, name string) string {
	best, distance := "", -1
	for i := range all {
		if d := levenshtein.ComputeDistance(name, all[i].Env); distance < 0 || d < distance {
			best, distance = all[i].Env, d
		}
	}
	return best
}

// mustBe is the error of a value that breaks its bound.
func mustBe(bound string, raw any) error {
	shown := fmt.Sprint(raw)
	if text, ok := raw.(string); ok {
		shown = fmt.Sprintf("%q", text)
	}
	if raw == nil {
		shown = "nothing"
	}
	if len(shown) > 80 {
		shown = shown[:80] + "…"
	}
	return fmt.Errorf("must be %s, not %s", bound, shown)
}
