package transport

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"nimbus"
)

// progress is how much of a body has to arrive to win it another bodyTime.
const progress = 1 << 20

// TakeBody hands a request's body, at most limit bytes of it, to take as it arrives: one that is too large to be
// held in memory. It has a minute, and with each MiB that has come another. Errors of the body are as ReadBody's,
// and go before take's own. take keeps nothing of the reader.
func TakeBody(w http.ResponseWriter, r *http.Request, limit int64, take func(body io.Reader) error) error {
	if r.ContentLength > limit {
		Linger(w, r)
		return TooLarge("the body", limit)
	}
	a := &arrival{from: http.MaxBytesReader(w, r.Body, limit), connection: http.NewResponseController(w)}
	a.extend()
	err := take(a)
	if err == nil {
		_, err = io.Copy(io.Discard, a)
	}
	if err == nil && r.ContentLength > a.size {
		a.err = io.ErrUnexpectedEOF
	}
	if a.err != nil {
		err = BodyError(r, a.err, limit)
		if nimbus.CodeOf(err) == nimbus.CodeTooLarge {
			drop(w, r)
		}
		return err // with the deadline left in place the connection ends
	}
	if err != nil {
		drop(w, r)
		return err
	}
	return a.lift()
}

// arrival is a body on its way. It keeps the body's error apart from those of whoever reads it.
type arrival struct {
	from       io.Reader
	connection *http.ResponseController
	timed      bool
	size       int64
	due        int64 // the size at which the deadline moves
	err        error // nil at the end, too
}

// Read implements io.Reader.
func (a *arrival) Read(p []byte) (int, error) {
	n, err := a.from.Read(p)
	if a.size += int64(n); a.size >= a.due {
		a.extend()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		a.err = err
	}
	return n, err
}

func (a *arrival) extend() {
	a.due = a.size + progress
	a.timed = a.connection.SetReadDeadline(time.Now().Add(bodyTime)) == nil
}

// lift takes the deadline off: it was the body's, not the call's.
func (a *arrival) lift() error {
	if !a.timed {
		return nil
	}
	if err := a.connection.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("lift the deadline of a body: %w", err)
	}
	return nil
}
