package transport

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"nimbus"
)

// SpoolBody lets a request's body arrive on the disk, at most limit bytes of it, from where r reads it then:
// somebody who is slow to send it holds neither memory nor a place that others wait for. Errors are as
// ReadBody's. The caller closes what is returned, and reads the body no more.
func SpoolBody(w http.ResponseWriter, r *http.Request, limit int64) (io.Closer, error) {
	if r.ContentLength > limit {
		Linger(w, r)
		return nil, TooLarge("the body", limit)
	}
	file, err := os.CreateTemp("", "nimbus-body-")
	if err != nil {
		return nil, nimbus.WrapError(nimbus.CodeInternal, err, "the body could not be kept")
	}
	s := spool{file}
	if err := s.fill(w, r, limit); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// spool is a file that goes when it is closed.
type spool struct{ *os.File }

// Close implements io.Closer.
func (s spool) Close() error { return errors.Join(s.File.Close(), os.Remove(s.Name())) }

// fill takes the body in, and has r read it from the file.
func (s spool) fill(w http.ResponseWriter, r *http.Request, limit int64) error {
	c := http.NewResponseController(w)
	timed := c.SetReadDeadline(time.Now().Add(bodyTime)) == nil
	sent := &told{from: http.MaxBytesReader(w, r.Body, limit)}
	size, err := io.Copy(s.File, sent)
	if sent.err == nil && r.ContentLength > size {
		sent.err = io.ErrUnexpectedEOF
	}
	switch {
	case sent.err != nil:
		err = BodyError(r, sent.err, limit)
		if nimbus.CodeOf(err) == nimbus.CodeTooLarge {
			Linger(w, r)
		}
		return err // with the deadline left in place the connection ends
	case err != nil:
		return nimbus.WrapError(nimbus.CodeInternal, err, "the body could not be kept")
	}
	if timed {
		if err := c.SetReadDeadline(time.Time{}); err != nil {
			return fmt.Errorf("lift the deadline of a body: %w", err)
		}
	}
	if _, err := s.Seek(0, io.SeekStart); err != nil {
		return nimbus.WrapError(nimbus.CodeInternal, err, "the body could not be kept")
	}
	r.Body, r.ContentLength = io.NopCloser(s.File), size
	return nil
}

// told keeps the error of a reader apart from its writer's.
type told struct {
	from io.Reader
	err  error // nil at the end, too
}

// Read implements io.Reader.
func (t *told) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		t.err = err
	}
	return n, err
}
