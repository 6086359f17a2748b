// Package blob declares content-addressed storage: code packages now, large events and results later.
// The suite in blobtest specifies it; every implementation passes it.
package blob

import (
	"context"
	"io"
	"iter"
	"time"
)

// Info describes a stored blob.
type Info struct {
	Hash     string // lower-case hex SHA-256 of the content
	Size     int64
	StoredAt time.Time // last time it was put
}

// Store keeps immutable blobs by their hash. Safe for concurrent use. Errors are *nimbus.Error:
// CodeNotFound, CodeTooLarge, CodeInsufficientStorage; content that does not match its hash is
// CodeInternal and never handed out as whole.
type Store interface {
	// Put stores everything r gives, durably, and returns its hash and size. Putting what is there already
	// renews StoredAt and stores nothing twice. Over max bytes it is CodeTooLarge; after any error nothing
	// is left behind.
	Put(ctx context.Context, r io.Reader, max int64) (Info, error)
	// Open returns a reader over the content. The read that would return io.EOF returns an error instead
	// when what was read does not match the hash.
	Open(ctx context.Context, hash string) (io.ReadCloser, Info, error)
	// Delete removes a blob; one that is not there is no error.
	Delete(ctx context.Context, hash string) error
	// All yields every blob, in no order.
	All(ctx context.Context) iter.Seq2[Info, error]
}
