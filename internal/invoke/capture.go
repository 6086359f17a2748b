package invoke

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"nimbus"
)

// sampleOf is of how many successful calls CaptureSampled keeps one.
const sampleOf = 100

// captures reports whether the record of a call keeps its input and output.
func captures(policy nimbus.Capture, id nimbus.ID, status nimbus.InvocationStatus) bool {
	failed := status != nimbus.InvocationSuccess
	switch policy {
	case nimbus.CaptureAll:
		return true
	case nimbus.CaptureSampled:
		return failed || binary.BigEndian.Uint32(id[12:])%sampleOf == 0 // the end of an id is random
	case nimbus.CaptureErrors:
		return failed
	}
	return false
}

// cutJSON returns a value that fits the bound: the value itself, or a JSON string with the beginning of its
// text and how much of it there was. What it returns is always JSON.
func cutJSON(value []byte, bound int64) []byte {
	if int64(len(value)) <= bound {
		return value
	}
	mark := fmt.Sprintf("… (cut, %d bytes in all)", len(value))
	// Escaping makes text longer, so what is kept shrinks until the string fits.
	for keep := bound; keep > 0; keep = keep * 3 / 4 {
		text := strings.ToValidUTF8(string(wholeRunes(value[:keep])), "\uFFFD")
		if cut := quote(text + mark); int64(len(cut)) <= bound {
			return cut
		}
	}
	return quote(mark)
}

// cutText bounds a text.
func cutText(text string, bound int64) string {
	if int64(len(text)) <= bound {
		return text
	}
	return strings.Clone(string(wholeRunes([]byte(text[:bound])))) + "…"
}

// wholeRunes drops a rune that was cut at the end.
func wholeRunes(b []byte) []byte {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if c := b[len(b)-n]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-n:]) {
				return b[:len(b)-n]
			}
			return b
		}
	}
	return b
}

// quote makes a JSON string.
func quote(text string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string always has a JSON form
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}
