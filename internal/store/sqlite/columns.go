package sqlite

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"nimbus"
)

// Times are stored as microseconds since 1970 UTC, durations as microseconds, ids as 16 bytes and NULL for
// the zero id where a column may be empty.

func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// optionalMicros is NULL for the zero time.
func optionalMicros(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}

func fromOptionalMicros(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return fromMicros(us.Int64)
}

func fromDurationMicros(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

// optionalID is NULL for the zero id.
func optionalID(id nimbus.ID) []byte {
	if id.IsZero() {
		return nil
	}
	return id[:]
}

// idColumn scans an id.
type idColumn struct{ id *nimbus.ID }

// Scan implements sql.Scanner.
func (c idColumn) Scan(v any) error {
	b, ok := v.([]byte)
	switch {
	case v == nil:
		*c.id = nimbus.ID{}
	case !ok || len(b) != len(nimbus.ID{}):
		return fmt.Errorf("scan id: %T of %d bytes", v, len(b))
	default:
		copy(c.id[:], b)
	}
	return nil
}

// digestColumn scans a SHA-256.
type digestColumn struct{ digest *[32]byte }

// Scan implements sql.Scanner.
func (c digestColumn) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok || len(b) != len(c.digest) {
		return fmt.Errorf("scan digest: %T of %d bytes", v, len(b))
	}
	copy(c.digest[:], b)
	return nil
}

// encodeJSON writes a list or map for a text column.
func encodeJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode column: %w", err)
	}
	return string(b), nil
}

// jsonColumn scans what encodeJSON wrote.
type jsonColumn struct{ into any }

// Scan implements sql.Scanner.
func (c jsonColumn) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("scan JSON: %T", v)
	}
	if err := json.Unmarshal([]byte(text), c.into); err != nil {
		return fmt.Errorf("scan JSON: %w", err)
	}
	return nil
}
