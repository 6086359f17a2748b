package runtime

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"nimbus"
)

// Set is the runtimes and toolchains of this machine. It does not change, so any goroutine may use it.
type Set struct {
	runtimes   []Runtime // newest first within a language
	toolchains []Toolchain
	rejected   []Rejected
}

// Rejected is something that looked like a runtime and can't be used.
type Rejected struct {
	Path   string
	Reason string
}

// NewSet returns a Set of the given runtimes. The newest of each language gets the language's alias
// (python3, nodejs, go).
func NewSet(runtimes ...Runtime) *Set {
	s := &Set{runtimes: slices.Clone(runtimes)}
	slices.SortStableFunc(s.runtimes, func(a, b Runtime) int {
		return cmp.Or(cmp.Compare(rank(a.Language), rank(b.Language)), compareVersions(b.Version, a.Version))
	})
	for i := range s.runtimes {
		r := &s.runtimes[i]
		r.Aliases = nil
		if name := alias(r.Language); name != "" && (i == 0 || s.runtimes[i-1].Language != r.Language) {
			r.Aliases = []string{name}
		}
	}
	return s
}

// WithToolchains returns a Set that has the given toolchains in place of its own.
func (s *Set) WithToolchains(toolchains ...Toolchain) *Set {
	c := *s
	c.toolchains = slices.Clone(toolchains)
	return &c
}

// alias is the name of a language's newest runtime, "" where it has one only.
func alias(l Language) string {
	switch l {
	case Python:
		return "python3"
	case Node:
		return "nodejs"
	case Go:
		return "go"
	}
	return ""
}

// rank orders languages as the documentation lists them.
func rank(l Language) int { return slices.Index([]Language{Python, Node, Go, Wasm, Custom}, l) }

// Resolve returns the runtime that a function deployed under that name or alias gets; "" is not one. Any Go up to
// the machine's is the machine's. Any other name is a CodeInvalid error of field runtime that says what is there.
func (s *Set) Resolve(name string) (Runtime, error) {
	for _, r := range s.runtimes {
		if r.Name == name || slices.Contains(r.Aliases, name) || r.compiles(name) {
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

// Toolchain returns what compiles a language. Without one the error is CodeInvalid, of field runtime, and says
// what to do.
func (s *Set) Toolchain(language Language) (Toolchain, error) {
	for _, t := range s.toolchains {
		if t.Language == language {
			return t, nil
		}
	}
	var invalid nimbus.Invalid
	invalid.Add("runtime", "no %s toolchain is on this machine, so source can't be compiled here: install one, or deploy "+
		"a program compiled elsewhere", language)
	return Toolchain{}, invalid.Err()
}

// Toolchains returns what compiles on this machine.
func (s *Set) Toolchains() []Toolchain { return slices.Clone(s.toolchains) }

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
