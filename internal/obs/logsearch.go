package obs

// needle is a text to look for, whatever the case of its ASCII letters. The lines and the text are both the
// user's, and could be made for each other: Knuth, Morris and Pratt's search takes no longer for that.
type needle struct {
	text []byte // in lower case, not empty
	kept []int  // when a byte behind the first n+1 of text is wrong, how many are right all the same
}

func newNeedle(text string) *needle {
	s := &needle{text: make([]byte, len(text)), kept: make([]int, len(text))}
	for i := range len(text) {
		s.text[i] = lower(text[i])
	}
	n := 0
	for i := 1; i < len(s.text); i++ {
		n = s.step(n, s.text[i])
		s.kept[i] = n
	}
	return s
}

// step returns how many bytes of the text end with c, when n of them came before it.
func (s *needle) step(n int, c byte) int {
	for s.text[n] != c {
		if n == 0 {
			return 0
		}
		n = s.kept[n-1]
	}
	return n + 1
}

// says reports whether a line of that stream and text is asked for.
func says[T string | []byte](q *LogQuery, stream, text T) bool {
	return (q.Stream == "" || string(stream) == q.Stream) && (q.sought == nil || holds(text, q.sought))
}

// holds reports whether text has what is looked for. It allocates nothing.
func holds[T string | []byte](text T, s *needle) bool {
	n := 0
	for i := range len(text) {
		if c := lower(text[i]); n > 0 || c == s.text[0] {
			if n = s.step(n, c); n == len(s.text) {
				return true
			}
		}
	}
	return false
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
