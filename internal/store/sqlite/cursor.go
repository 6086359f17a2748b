package sqlite

import (
	"encoding/base64"
	"encoding/binary"
	"strings"

	"nimbus"
)

// A cursor is the key of the last item of a page, in base64: pages stay flat however far one goes, and what
// is added or removed meanwhile shifts none of them.

// nameKey orders functions.
type nameKey struct {
	folded    string
	namespace string
}

// timeKey orders API keys and records.
type timeKey struct {
	us int64
	id nimbus.ID
}

func (k nameKey) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte("n" + k.folded + "\x00" + k.namespace))
}

func parseNameKey(cursor string) (nameKey, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) == 0 || b[0] != 'n' {
		return nameKey{}, badCursor()
	}
	folded, namespace, ok := strings.Cut(string(b[1:]), "\x00")
	if !ok {
		return nameKey{}, badCursor()
	}
	return nameKey{folded: folded, namespace: namespace}, nil
}

func (k timeKey) cursor() string {
	b := binary.BigEndian.AppendUint64([]byte("t"), uint64(k.us))
	return base64.RawURLEncoding.EncodeToString(append(b, k.id[:]...))
}

func parseTimeKey(cursor string) (timeKey, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) != 1+8+len(nimbus.ID{}) || b[0] != 't' {
		return timeKey{}, badCursor()
	}
	return timeKey{us: int64(binary.BigEndian.Uint64(b[1:9])), id: nimbus.ID(b[9:])}, nil
}

func badCursor() error {
	var v nimbus.Invalid
	v.Add("cursor", "must be the one an answer gave")
	return v.Err()
}

// cut makes a page of items that were asked for with one beyond the limit.
func cut[T any](items []T, limit int, cursor func(*T) string) nimbus.List[T] {
	if len(items) <= limit {
		return nimbus.List[T]{Items: items}
	}
	items = items[:limit]
	return nimbus.List[T]{Items: items, Next: cursor(&items[limit-1])}
}
