package build

import (
	"bytes"
	"slices"
	"strings"
)

// module is what a Python module binds at its top level that could be a handler.
type module struct {
	functions []string // by def
	others    []string // by class, assignment or import from
}

func (m module) binds(name string) bool {
	return slices.Contains(m.functions, name) || slices.Contains(m.others, name)
}

// scanModule reads as much of Python's grammar as finding names takes: strings, brackets, comments, continued
// lines. It is meant to guess from, not to judge: what it misreads is still found when the code is run.
func scanModule(src []byte) module {
	var m module
	for line := range topLevelLines(src) {
		words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		if len(words) > 1 && words[0] == "async" {
			words = words[1:]
		}
		switch {
		case len(words) > 1 && words[0] == "def":
			m.functions = append(m.functions, identifier(words[1]))
		case len(words) > 1 && words[0] == "class":
			m.others = append(m.others, identifier(words[1]))
		case len(words) > 3 && words[0] == "from":
			m.others = append(m.others, importedNames(strings.Join(words, " "))...)
		default:
			m.others = append(m.others, assignedName(line))
		}
	}
	return m
}

// topLevelLines yields the logical lines that start in the first column, without strings and comments.
func topLevelLines(src []byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
		for len(src) > 0 {
			line, rest := logicalLine(src)
			src = rest
			if line == "" || strings.ContainsRune(" \t\f", rune(line[0])) {
				continue
			}
			if !yield(line) {
				return
			}
		}
	}
}

// logicalLine cuts the first logical line off src: through brackets, long strings and backslashes. Strings
// become "" in it, comments nothing.
func logicalLine(src []byte) (line string, rest []byte) {
	var out []byte
	depth := 0
	for i := 0; i < len(src); {
		switch c := src[i]; c {
		case '\n', '\r':
			i++
			if depth == 0 {
				return string(out), src[i:]
			}
			out = append(out, ' ')
		case '\\':
			i = min(i+2, len(src))
			out = append(out, ' ')
		case '#':
			end := bytes.IndexByte(src[i:], '\n')
			if end < 0 {
				return string(out), nil
			}
			i += end
		case '"', '\'':
			i = skipString(src, i)
			out = append(out, '"', '"')
		default:
			switch c {
			case '(', '[', '{':
				depth++
			case ')', ']', '}':
				depth = max(depth-1, 0)
			}
			out = append(out, c)
			i++
		}
	}
	return string(out), nil
}

// skipString returns the index after the string that starts at i. A short string ends with its line even if
// its quote is missing, so that a mistake costs one line.
func skipString(src []byte, i int) int {
	quote := src[i : i+1]
	long := bytes.Repeat(quote, 3)
	if !bytes.HasPrefix(src[i:], long) {
		long = nil
		i++
	} else {
		i += 3
	}
	for i < len(src) {
		switch {
		case src[i] == '\\':
			i += 2
		case long != nil && bytes.HasPrefix(src[i:], long):
			return i + 3
		case long == nil && src[i] == quote[0]:
			return i + 1
		case long == nil && src[i] == '\n':
			return i
		default:
			i++
		}
	}
	return len(src)
}

// importedNames reads "from m import (a, b as c)".
func importedNames(statement string) []string {
	_, list, _ := strings.Cut(statement, " import ")
	var names []string
	for item := range strings.SplitSeq(strings.Trim(list, "() "), ",") {
		if words := strings.Fields(item); len(words) > 0 {
			names = append(names, identifier(words[len(words)-1]))
		}
	}
	return names
}

// assignedName reads "a = …" and "a: type = …"; "" for any other statement.
func assignedName(line string) string {
	name := identifier(line)
	rest := strings.TrimLeft(line[len(name):], " \t")
	assigned := strings.HasPrefix(rest, "=") && !strings.HasPrefix(rest, "==")
	annotated := strings.HasPrefix(rest, ":") && strings.Contains(rest, "=")
	if assigned || annotated && !isCompound(name) {
		return name
	}
	return ""
}

// isCompound tells statements that look like an annotated name: "else: x = 1".
func isCompound(word string) bool {
	return slices.Contains([]string{"else", "try", "finally"}, word)
}

// identifier returns the identifier that s starts with, "" if it starts with none.
func identifier(s string) string {
	end := strings.IndexFunc(s, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r < 0x80
	})
	if end < 0 {
		end = len(s)
	}
	if end > 0 && s[0] >= '0' && s[0] <= '9' {
		return ""
	}
	return s[:end]
}
