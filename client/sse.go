package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"
)

// event is one of a stream of Server-Sent Events (WHATWG HTML, 9.2).
type event struct {
	name string
	data []byte
}

// maxEvent bounds one event: a response may have 6 MB, and JSON may escape some of it.
const maxEvent = 64 << 20

var errEventTooLong = errors.New("an event of the stream is longer than 64 MiB")

// eventReader reads events. It remembers the last id and the server's wish of when to come again.
type eventReader struct {
	lines  *bufio.Reader
	lastID string
	retry  time.Duration
	first  bool // nothing read yet: a byte order mark may come
}

func newEventReader(r io.Reader) *eventReader {
	return &eventReader{lines: bufio.NewReaderSize(r, 32<<10), first: true}
}

// next returns the next event that has data; io.EOF when the stream ended. An event that the end of the
// stream cut off is dropped, as the specification says.
func (r *eventReader) next() (event, error) {
	var e event
	hasData := false
	for {
		line, err := r.line(maxEvent - len(e.data))
		if err != nil {
			return event{}, err
		}
		if len(line) == 0 {
			if hasData {
				return e, nil
			}
			e = event{}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			e.name = string(value)
		case "data":
			if hasData {
				e.data = append(e.data, '\n')
			}
			e.data = append(e.data, value...)
			hasData = true
		case "id":
			if !bytes.ContainsRune(value, 0) {
				r.lastID = string(value)
			}
		case "retry":
			if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
				r.retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
}

// line returns a line without its end, valid until the next call.
func (r *eventReader) line(limit int) ([]byte, error) {
	line, err := r.lines.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		long := bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) && len(long) <= limit {
			line, err = r.lines.ReadSlice('\n')
			long = append(long, line...)
		}
		line = long
	}
	if len(line) > limit {
		return nil, errEventTooLong
	}
	if err != nil {
		return nil, err
	}
	if r.first {
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
		r.first = false
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}
