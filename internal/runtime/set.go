package runtime

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"nimbus"
)

// Set is the runtimes of this machine. It does not change, so any goroutine may use it.
type Set struct {
	runtimes []Runtime // newest first within a language
	rejected []Rejected
}

// Rejected is something that looked like a runtime and can't be used.
type Rejected struct {
	Path   string
	Reason string
}

// NewSet returns a Set of the given runtimes. The newest of each language gets the language's alias
// (python3).
func NewSet(runtimes ...Runtime) *Set {
	s := &Set{runtimes: slices.Clone(runtimes)}
	slices.SortStableFunc(s.runtimes, func(a, b Runtime) int {
		return cmp.Or(cmp.Compare(a.Language, b.Language), compareVersions(b.Version, a.Version))
	})
	for i := range s.runtimes {
		r := &s.runtimes[i]
		r.Aliases = nil
		if r.Language == Python && (i == 0 || s.runtimes[i-1].Language != Python) {
			r.Aliases = []string{"python3"}
		}
	}
	return s
}

// Resolve returns the runtime with that name or alias; "" is not one. Any other name is a CodeInvalid error
// of field runtime that says what is there.
func (s *Set) Resolve(name string) (Runtime, error) {
	for _, r := range s.runtimes {
		if r.Name == name || slices.Contains(r.Aliases, name) {
			return r, nil
		}
	}
	var invalid nimbus.Invalid
	invalid.Add("runtime", "%s is not on this machine; %s", name, s.offer())
	return Runtime{}, invalid.Err()
}

// Default returns the newest runtime of a language.
func (s *Set) Default(language Language) (Runtime, error) {
	for _, r := range s.runtimes {
		if r.Language == language {
			return r, nil
		}
	}
	var invalid nimbus.Invalid
	invalid.Add("runtime", "no %s is on this machine; %s", language, s.offer())
	return Runtime{}, invalid.Err()
}

// List returns the runtimes, the newest of a language first.
func (s *Set) List() []Runtime { return slices.Clone(s.runtimes) }

// Rejected returns what looked like a runtime and why it is not used.
func (s *Set) Rejected() []Rejected { return slices.Clone(s.rejected) }

func (s *Set) offer() string {
	if len(s.runtimes) == 0 {
		return "there is no runtime at all: install python3"
	}
	names := make([]string, len(s.runtimes))
	for i, r := range s.runtimes {
		names[i] = r.Name
	}
	return "there is " + strings.Join(names, ", ")
}

// compareVersions orders dotted numbers: 3.9.18 before 3.11.2.
func compareVersions(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(x, y string) int {
		m, _ := strconv.Atoi(x) // what is no number counts as 0
		n, _ := strconv.Atoi(y)
		return cmp.Compare(m, n)
	})
}
