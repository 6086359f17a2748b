package wire

import (
	"io"
	"net"
	"sync"
)

// sender writes whole frames, one at a time.
type sender struct {
	w io.Writer

	mu   sync.Mutex
	out  []byte
	vec  net.Buffers
	pair [2][]byte
}

// send writes a frame whose payload is either payload, or meta and raw behind it.
func (s *sender) send(t Type, number uint64, payload, meta, raw []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := len(payload)
	if meta != nil {
		size = metaLengthSize + len(meta) + len(raw)
	}
	s.out = append(appendHeader(s.out[:0], t, number, size), payload...)
	if meta != nil {
		s.out = AppendMeta(s.out, meta, nil)
	}
	if len(raw) <= copyBelow {
		s.out = append(s.out, raw...)
		_, err := s.w.Write(s.out)
		return err
	}
	s.pair = [2][]byte{s.out, raw}
	s.vec = s.pair[:]
	_, err := s.vec.WriteTo(s.w)
	s.pair = [2][]byte{}
	return err
}
