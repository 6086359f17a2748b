package api

import (
	"encoding/base64"
	"io"

	"nimbus/internal/transport"
)

// decoder decodes base64 that comes in pieces. Unlike base64.NewDecoder it takes nothing after the padding,
// wherever the pieces end.
type decoder struct {
	to     io.Writer
	bound  int64 // of what is decoded
	size   int64
	text   [base64Piece]byte
	plain  [base64Piece / 4 * 3]byte // of text
	held   int                       // of text
	padded bool                      // the end was there
	broken bool                      // it is no base64, and nothing more is written
}

// base64Piece is how much is decoded together, a multiple of 4.
const base64Piece = 16 << 10

// add takes text on, without line ends.
func (d *decoder) add(text ...byte) error {
	for len(text) > 0 && !d.broken {
		n := copy(d.text[d.held:], text)
		if d.held, text = d.held+n, text[n:]; d.held < len(d.text) {
			break
		}
		if err := d.flush(); err != nil {
			return err
		}
	}
	return nil
}

// flush decodes what is held; in the end, and when that is as much as can be.
func (d *decoder) flush() error {
	if d.broken || d.held == 0 {
		return nil
	}
	n, err := base64.StdEncoding.Decode(d.plain[:], d.text[:d.held])
	if d.broken = err != nil || d.padded; d.broken {
		return nil
	}
	d.padded, d.held = n < d.held/4*3, 0
	if d.size += int64(n); d.size > d.bound {
		return transport.TooLarge("a program", d.bound)
	}
	_, err = d.to.Write(d.plain[:n])
	return err
}
