package nimbus

// NameRule says in words what ValidName asks.
const NameRule = "must be 1 to 64 letters, digits, _ and -, begin with a letter or digit, and not have the form of an id"

const maxName = 64

// ValidName reports whether s can name a function, a namespace or an API key. A name shaped like an id would
// hide the thing that has that id.
func ValidName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		if !letter && !digit && (i == 0 || c != '_' && c != '-') {
			return false
		}
	}
	_, err := ParseID(s)
	return err != nil
}
