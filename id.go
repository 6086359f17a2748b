package nimbus

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync/atomic"
	"time"
)

// ID is a UUIDv7 (RFC 9562): sortable by the time it was made. The zero ID stands for "none" and is
// written as an empty string. IDs made by one process strictly increase.
type ID [16]byte

// idClock is the one piece of mutable state of the package: the last stamp given out, milliseconds<<12 |
// fraction, the 60 ordered bits of a UUIDv7. Without it two IDs of one moment would have no order, and
// the ledger's key is that order.
var idClock atomic.Uint64

// NewID returns an ID stamped with the current time. Safe for concurrent use.
func NewID() ID { return newIDAt(time.Now()) }

func newIDAt(now time.Time) ID {
	var id ID
	_, _ = rand.Read(id[8:]) // crypto/rand never fails (it aborts the process)
	// Sub-millisecond time fills the 12 counter bits, as RFC 9562 6.2 method 3 has it.
	stamp := uint64(now.UnixMilli())<<12 | uint64(now.Nanosecond()%1e6)*4096/1e6
	for {
		last := idClock.Load()
		if stamp <= last {
			stamp = last + 1
		}
		if idClock.CompareAndSwap(last, stamp) {
			break
		}
	}
	binary.BigEndian.PutUint64(id[:8], stamp>>12<<16|0x7000|stamp&0xfff)
	id[8] = id[8]&0x3f | 0x80
	return id
}

// ParseID reads the 36 character form. Anything else is an error.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, fmt.Errorf("parse id %q: not a UUID", s)
	}
	packed := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(id[:], []byte(packed)); err != nil {
		return ID{}, fmt.Errorf("parse id %q: not a UUID", s)
	}
	return id, nil
}

// IsZero reports whether the ID is unset.
func (id ID) IsZero() bool { return id == ID{} }

// Time returns the moment the ID was made, to the millisecond.
func (id ID) Time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16)).UTC()
}

// String returns the 36 character form in lower case, or "" for the zero ID.
func (id ID) String() string {
	if id.IsZero() {
		return ""
	}
	var b [36]byte
	id.encode(&b)
	return string(b[:])
}

// AppendText appends the text form to b.
func (id ID) AppendText(b []byte) ([]byte, error) {
	if id.IsZero() {
		return b, nil
	}
	var text [36]byte
	id.encode(&text)
	return append(b, text[:]...), nil
}

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return id.AppendText(nil) }

// UnmarshalText implements encoding.TextUnmarshaler; the empty string is the zero ID.
func (id *ID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*id = ID{}
		return nil
	}
	parsed, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

func (id ID) encode(b *[36]byte) {
	hex.Encode(b[:8], id[:4])
	b[8] = '-'
	hex.Encode(b[9:13], id[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], id[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], id[8:10])
	b[23] = '-'
	hex.Encode(b[24:], id[10:])
}
