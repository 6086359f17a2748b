package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"

	"nimbus"
	"nimbus/internal/transport"
)

const (
	// binaryField is the field with a program in base64.
	binaryField = "binary"
	// What takes the place of its text where that could be decoded, and where not.
	liftedText = `""`
	brokenText = `"?"`
	// liftBuffer is how much of a body is looked at together.
	liftBuffer = 32 << 10
)

// binaryText is what is left of a program in base64 that has been lifted out of its JSON.
type binaryText []byte

// UnmarshalJSON implements json.Unmarshaler.
func (*binaryText) UnmarshalJSON(raw []byte) error {
	if text := string(raw); text != liftedText && text != "null" {
		return errors.New("no base64")
	}
	return nil
}

// lifted is a JSON object whose program, of any size, is in a file, and the rest of which is small.
type lifted struct {
	rest   []byte  // liftedText or brokenText is in the place of the program
	binary *upload // nil = it has no program
}

// liftBinary reads JSON, and puts the text of the object's field "binary" into a file as it comes, decoded.
// Whether the rest is JSON, and an object, is its reader's to see: what is lifted is a text where a text is left.
func liftBinary(body io.Reader, l nimbus.Limits, uploads *Uploads) (lifted, error) {
	s := lifter{in: bufio.NewReaderSize(body, liftBuffer), limits: l, uploads: uploads}
	if err := s.run(); err != nil {
		s.binary.close()
		return lifted{}, err
	}
	return s.lifted, nil
}

type lifter struct {
	lifted
	in      *bufio.Reader
	limits  nimbus.Limits
	uploads *Uploads
}

func (s *lifter) run() error {
	var (
		depth int
		last  byte // but white space
		name  []byte
	)
	for {
		c, err := s.in.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		value := depth == 1 && last == ':'
		switch c {
		case ' ', '\t', '\r', '\n':
		case '{', '[':
			depth++
			last = c
		case '}', ']':
			depth--
			last = c
		default:
			last = c
		}
		switch {
		case c == '"' && value && isBinary(name):
			err = s.lift()
		case c == '"':
			start := len(s.rest)
			if err = s.copyText(); depth == 1 && !value {
				name = s.rest[start:]
			}
		default:
			err = s.keep(c)
		}
		if err != nil {
			return err
		}
	}
}

func isBinary(name []byte) bool {
	var text string
	return json.Unmarshal(name, &text) == nil && text == binaryField
}

// keep adds to the rest.
func (s *lifter) keep(p ...byte) error {
	if limit := jsonLimit(s.limits); int64(len(s.rest)+len(p)) > limit {
		return transport.TooLarge("a body without its binary", limit)
	}
	s.rest = append(s.rest, p...)
	return nil
}

// copyText keeps a text, as it is, whose first quote has been read.
func (s *lifter) copyText() error {
	escaped := false
	for c := byte('"'); ; {
		if err := s.keep(c); err != nil {
			return err
		}
		next, err := s.in.ReadByte()
		if err != nil {
			return ignoreEOF(err)
		}
		if c = next; c == '"' && !escaped {
			return s.keep(c)
		}
		escaped = c == '\\' && !escaped
	}
}

// lift decodes a text whose first quote has been read. One without an end leaves the rest without an end, too.
func (s *lifter) lift() (err error) {
	if s.binary == nil {
		if s.binary, err = s.uploads.create(); err != nil {
			return err
		}
	}
	d := decoder{to: s.binary, bound: s.limits.Archive}
	for ended := false; !ended; {
		if ended, err = s.liftChunk(&d); errors.Is(err, io.EOF) {
			return s.keep('"')
		}
		if err != nil {
			return err
		}
	}
	if err := d.flush(); err != nil {
		return err
	}
	if d.broken {
		return s.keep([]byte(brokenText)...)
	}
	return s.keep([]byte(liftedText)...)
}

// liftChunk decodes what has been read ahead, up to what is special in a text of JSON, and deals with that.
func (s *lifter) liftChunk(d *decoder) (ended bool, err error) {
	if _, err := s.in.Peek(1); err != nil {
		return false, err
	}
	chunk, err := s.in.Peek(s.in.Buffered())
	if err != nil {
		return false, err
	}
	n := plainText(chunk)
	if n == len(chunk) {
		if err := d.add(chunk...); err != nil {
			return false, err
		}
		_, err := s.in.Discard(len(chunk))
		return false, err
	}
	if err := d.add(chunk[:n]...); err != nil {
		return false, err
	}
	special := chunk[n]
	if _, err := s.in.Discard(n + 1); err != nil {
		return false, err
	}
	switch special {
	case '"':
		return true, nil
	case '\\':
		return false, s.unescape(d)
	}
	d.broken = true // JSON has no bare line ends in texts
	return false, nil
}

// plainText returns how many bytes there are before one that is special in a text of JSON, or in base64.
func plainText(chunk []byte) int {
	n := len(chunk)
	for _, special := range []byte("\"\\\r\n") { // faster than bytes.IndexAny
		if at := bytes.IndexByte(chunk[:n], special); at >= 0 {
			n = at
		}
	}
	return n
}

// unescape decodes what follows a backslash. Of base64 some encoders escape the slash, and the plus as \u002b.
func (s *lifter) unescape(d *decoder) error {
	c, err := s.in.ReadByte()
	if err != nil {
		return err
	}
	switch c {
	case 'n', 'r':
		return nil // lines are no part of the program
	case '/':
		return d.add(c)
	case 'u':
		return s.unescapeCode(d)
	}
	d.broken = true
	return nil
}

func (s *lifter) unescapeCode(d *decoder) error {
	digits, err := s.in.Peek(4)
	if err := ignoreEOF(err); err != nil {
		return err
	}
	code, err := strconv.ParseUint(string(digits), 16, 16)
	if err != nil || len(digits) < 4 || code > 0x7f {
		d.broken = true // and what are no digits may be the end of the text
		return nil
	}
	if code != '\n' && code != '\r' {
		if err := d.add(byte(code)); err != nil {
			return err
		}
	}
	_, err = s.in.Discard(len(digits))
	return err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
