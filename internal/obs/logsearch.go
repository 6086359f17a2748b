package obs

// says reports whether a line of that stream and text is asked for.
func says[T string | []byte](q *LogQuery, stream, text T) bool {
	return (q.Stream == "" || string(stream) == q.Stream) && (q.Contains == "" || containsFold(text, q.Contains))
}

// containsFold reports whether text contains part, whatever the case of ASCII letters. It allocates nothing.
func containsFold[T string | []byte](text T, part string) bool {
	for i := 0; i+len(part) <= len(text); i++ {
		n := 0
		for n < len(part) && lower(text[i+n]) == lower(part[n]) {
			n++
		}
		if n == len(part) {
			return true
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
