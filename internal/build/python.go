package build

import (
	"bytes"
	"slices"
	"strings"
)

// topLevelNames returns what a Python module binds at its top level, in order and without repetition:
// functions, classes, assigned and imported names. It reads as much of the grammar as that takes (strings,
// brackets, comments, continued lines) and is meant to guess from, not to judge: what it misreads is still
// found when the code is run.
func topLevelNames(src []byte) []string {
	var names []string
	for line := range topLevelLines(src) {
		for _, name := range boundNames(line) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
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

// boundNames returns the names that one statement binds.
func boundNames(line string) []string {
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(words) > 1 && words[0] == "async" {
		words = words[1:]
	}
	switch {
	case len(words) > 1 && (words[0] == "def" || words[0] == "class"):
		return nonEmpty(identifier(words[1]))
	case len(words) > 1 && words[0] == "import":
		return importedNames(strings.Join(words[1:], " "))
	case len(words) > 3 && words[0] == "from":
		_, names, found := strings.Cut(strings.Join(words, " "), " import ")
		if !found {
			return nil
		}
		return importedNames(strings.Trim(names, "() "))
	}
	name := identifier(line)
	rest := strings.TrimLeft(line[len(name):], " \t")
	assigned := strings.HasPrefix(rest, "=") && !strings.HasPrefix(rest, "==")
	annotated := strings.HasPrefix(rest, ":") && strings.Contains(rest, "=")
	if assigned || annotated && !isCompound(name) {
		return nonEmpty(name)
	}
	return nil
}

// importedNames reads "a, b.c as d" as far as it binds names a handler could be.
func importedNames(list string) []string {
	var names []string
	for item := range strings.SplitSeq(list, ",") {
		words := strings.Fields(item)
		if len(words) == 0 {
			continue
		}
		names = append(names, nonEmpty(identifier(words[len(words)-1]))...)
	}
	return names
}

// isCompound tells statements that look like an annotated name: "else: x = 1".
func isCompound(word string) bool {
	return slices.Contains([]string{"else", "try", "finally", "lambda"}, word)
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

func nonEmpty(name string) []string {
	if name == "" {
		return nil
	}
	return []string{name}
}
