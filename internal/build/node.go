package build

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
)

// script is what a file for Node exports, as far as a look at its text tells.
type script struct {
	exports  []string // distinct, in the order in which they are found
	esModule bool     // it uses import or export statements
}

var (
	commonExport  = regexp.MustCompile(`(?:^|[^.\w$])(?:module\.)?exports\.([A-Za-z_$][\w$]*)\s*`)
	objectExport  = regexp.MustCompile(`(?:(?:^|[^.\w$])module\.exports\s*=|(?:^|[^.\w$])export\s+default)\s*\{`)
	declareExport = regexp.MustCompile(`(?:^|[^.\w$])export\s+(?:default\s+)?(?:async\s+)?(?:function\s*\*?|const|let|var|class)\s*([A-Za-z_$][\w$]*)`)
	listExport    = regexp.MustCompile(`(?:^|[^.\w$])export\s*\{([^}]*)\}`)
	esStatement   = regexp.MustCompile(`(?m)(?:^|;)\s*(?:export\s*(?:\{|\*|default\b|async\b|function\b|const\b|let\b|var\b|class\b)|import(?:\s*(?:""|\{|\*)|\s+[A-Za-z_$]))`)
	scriptName    = regexp.MustCompile(`^[A-Za-z_$][\w$]*`)
)

// scanScript reads as much of JavaScript's grammar as finding exports takes. Like scanModule it guesses; what it
// misreads is still found when the code is run.
func scanScript(src []byte) script {
	text := plainScript(src)
	s := script{esModule: esStatement.Match(text)}
	for _, at := range commonExport.FindAllSubmatchIndex(text, -1) {
		if rest := text[at[1]:]; bytes.HasPrefix(rest, []byte("=")) && !bytes.HasPrefix(rest, []byte("==")) {
			s.add(string(text[at[2]:at[3]]))
		}
	}
	for _, found := range declareExport.FindAllSubmatch(text, -1) {
		s.add(string(found[1]))
	}
	for _, found := range listExport.FindAllSubmatch(text, -1) {
		for item := range strings.SplitSeq(string(found[1]), ",") {
			if words := strings.Fields(item); len(words) > 0 {
				s.add(words[len(words)-1])
			}
		}
	}
	for _, at := range objectExport.FindAllIndex(text, -1) {
		for _, key := range objectKeys(text[at[1]:]) {
			s.add(key)
		}
	}
	return s
}

func (s *script) add(name string) {
	if !slices.Contains(s.exports, name) {
		s.exports = append(s.exports, name)
	}
}

// objectKeys returns the names that an object literal has, given what follows its brace.
func objectKeys(text []byte) []string {
	var keys []string
	depth, start := 0, 0
	for i, c := range text {
		switch c {
		case '{', '(', '[':
			depth++
		case '}', ')', ']':
			depth--
		}
		if depth < 0 || depth == 0 && c == ',' {
			if key := objectKey(string(text[start:i])); key != "" {
				keys = append(keys, key)
			}
			start = i + 1
		}
		if depth < 0 {
			break
		}
	}
	return keys
}

// objectKey reads "name", "name: …", "name(…) {…}" and "async *name(…) {…}".
func objectKey(property string) string {
	property = strings.TrimSpace(property)
	if rest, isAsync := strings.CutPrefix(property, "async "); isAsync {
		property = rest
	}
	return scriptName.FindString(strings.TrimLeft(property, "* "))
}

// plainScript returns the source without comments, and with empty strings, templates and regular expressions.
func plainScript(src []byte) []byte {
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
	out := make([]byte, 0, len(src))
	for i := 0; i < len(src); {
		switch c := src[i]; {
		case bytes.HasPrefix(src[i:], []byte("//")), i == 0 && bytes.HasPrefix(src, []byte("#!")):
			i += untilOrEnd(src[i:], "\n")
		case bytes.HasPrefix(src[i:], []byte("/*")):
			i = min(i+untilOrEnd(src[i:], "*/")+len("*/"), len(src))
			out = append(out, ' ')
		case c == '"' || c == '\'':
			i = skipString(src, i)
			out = append(out, '"', '"')
		case c == '`':
			i = skipTemplate(src, i)
			out = append(out, '"', '"')
		case c == '/' && startsExpression(out):
			i = skipRegexp(src, i)
			out = append(out, '"', '"')
		default:
			out = append(out, c)
			i++
		}
	}
	return out
}

func untilOrEnd(src []byte, mark string) int {
	if n := bytes.Index(src, []byte(mark)); n >= 0 {
		return n
	}
	return len(src)
}

// startsExpression reports whether a value, and no operator, may follow the code.
func startsExpression(code []byte) bool {
	code = bytes.TrimRight(code, " \t\r\n")
	return len(code) == 0 || bytes.IndexByte([]byte("(,=:[!&|?{};+-*%<>~^"), code[len(code)-1]) >= 0 ||
		bytes.HasSuffix(code, []byte("return"))
}

// skipTemplate returns the index after the template that starts at i, through the templates inside it.
func skipTemplate(src []byte, i int) int {
	var open []int // of each template that is begun: the braces of the expression inside it, -1 = in its text
	open = append(open, -1)
	for i++; i < len(src) && len(open) > 0; i++ {
		inside := &open[len(open)-1]
		switch c := src[i]; {
		case c == '\\':
			i++
		case *inside < 0 && c == '`':
			open = open[:len(open)-1]
		case *inside < 0 && bytes.HasPrefix(src[i:], []byte("${")):
			*inside = 0
			i++
		case *inside < 0:
		case c == '`':
			open = append(open, -1)
		case c == '{':
			*inside++
		case c == '}':
			*inside--
		}
	}
	return min(i, len(src))
}

// skipRegexp returns the index after the regular expression that starts at i; it ends with its line even if
// its slash is missing.
func skipRegexp(src []byte, i int) int {
	class := false
	for i++; i < len(src) && src[i] != '\n'; i++ {
		switch c := src[i]; {
		case c == '\\':
			i++
		case c == '[':
			class = true
		case c == ']':
			class = false
		case c == '/' && !class:
			return i + 1
		}
	}
	return min(i, len(src))
}
