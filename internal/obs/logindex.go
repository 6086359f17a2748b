package obs

import (
	"encoding/binary"
	"slices"

	"nimbus"
)

// chunkBytes is how much of a segment one entry of its index stands for.
const chunkBytes = 32 << 10

// chunk is a run of frames in a segment, and what one needs to know to leave it unread.
type chunk struct {
	offset, end int64
	first       uint64 // number of its first line
	oldest      int64  // µs
	newest      int64  // µs
	invocations []uint32
}

// mayHold reports whether a line that q selects can be in the chunk. Without invocations it may hold any.
func (c *chunk) mayHold(q *LogQuery) bool {
	if !q.Since.IsZero() && c.newest < q.Since.UnixMicro() || !q.Until.IsZero() && c.oldest >= q.Until.UnixMicro() {
		return false
	}
	if q.Invocation.IsZero() || c.invocations == nil {
		return true
	}
	_, found := slices.BinarySearch(c.invocations, invocationHash(q.Invocation))
	return found
}

// invocationHash shortens an id; that two may share a hash costs a chunk read in vain.
func invocationHash(id nimbus.ID) uint32 { return castagnoli(id[:]) }

// indexBuilder makes a segment's index as frames are added. The zero value is an empty segment's.
type indexBuilder struct {
	done []chunk
	open chunk // being filled; empty when end is 0
	seen map[uint32]struct{}
}

// add accounts for the frame of line seq at [offset, end).
func (b *indexBuilder) add(seq uint64, offset, end, micros int64, invocation nimbus.ID) {
	if b.open.end != 0 && end-b.open.offset > chunkBytes {
		b.close()
	}
	if b.open.end == 0 {
		b.open = chunk{offset: offset, first: seq, oldest: micros, newest: micros}
		b.seen = make(map[uint32]struct{})
	}
	b.open.end = end
	b.open.oldest = min(b.open.oldest, micros)
	b.open.newest = max(b.open.newest, micros)
	if !invocation.IsZero() {
		b.seen[invocationHash(invocation)] = struct{}{}
	}
}

func (b *indexBuilder) close() {
	b.open.invocations = make([]uint32, 0, len(b.seen))
	for hash := range b.seen {
		b.open.invocations = append(b.open.invocations, hash)
	}
	slices.Sort(b.open.invocations)
	b.done = append(b.done, b.open)
	b.open, b.seen = chunk{}, nil
}

// chunks returns the index so far. It stays as it is when more is added.
func (b *indexBuilder) chunks() []chunk {
	all := slices.Clip(b.done)
	if b.open.end != 0 {
		all = append(all, b.open) // without its invocations: they are still being gathered
	}
	return all
}

// finish returns the index of a segment that gets no more frames.
func (b *indexBuilder) finish() []chunk {
	if b.open.end != 0 {
		b.close()
	}
	return b.done
}

// An index file is, little-endian:
//
//	magic [8] | bytes of the segment u64 | chunks u32 | chunk … | CRC-32C of all before u32
//	chunk     offset u64 | end u64 | first u64 | oldest i64 | newest i64 | hashes u32 | hash u32 …
const (
	indexMagic    = "nimidx\x00\x01"
	indexFixedLen = 8 + 8 + 4 + 4
	chunkFixedLen = 5*8 + 4
)

func appendIndex(b []byte, segmentBytes int64, chunks []chunk) []byte {
	le := binary.LittleEndian
	start := len(b)
	b = append(b, indexMagic...)
	b = le.AppendUint64(b, uint64(segmentBytes))
	b = le.AppendUint32(b, uint32(len(chunks)))
	for i := range chunks {
		c := &chunks[i]
		b = le.AppendUint64(b, uint64(c.offset))
		b = le.AppendUint64(b, uint64(c.end))
		b = le.AppendUint64(b, c.first)
		b = le.AppendUint64(b, uint64(c.oldest))
		b = le.AppendUint64(b, uint64(c.newest))
		b = le.AppendUint32(b, uint32(len(c.invocations)))
		for _, hash := range c.invocations {
			b = le.AppendUint32(b, hash)
		}
	}
	return le.AppendUint32(b, castagnoli(b[start:]))
}

// decodeIndex reads an index file; errTorn when it is damaged or of a segment of another length.
func decodeIndex(b []byte, segmentBytes int64) ([]chunk, error) {
	le := binary.LittleEndian
	if len(b) < indexFixedLen || string(b[:8]) != indexMagic || int64(le.Uint64(b[8:])) != segmentBytes ||
		le.Uint32(b[len(b)-4:]) != castagnoli(b[:len(b)-4]) {
		return nil, errTorn
	}
	count, rest := int64(le.Uint32(b[16:])), b[20:len(b)-4]
	if count > int64(len(rest)/chunkFixedLen) {
		return nil, errTorn
	}
	chunks := make([]chunk, 0, count)
	from := int64(segmentHeaderLen)
	for range count {
		if len(rest) < chunkFixedLen {
			return nil, errTorn
		}
		c := chunk{
			offset: int64(le.Uint64(rest)), end: int64(le.Uint64(rest[8:])), first: le.Uint64(rest[16:]),
			oldest: int64(le.Uint64(rest[24:])), newest: int64(le.Uint64(rest[32:])),
		}
		hashes := int64(le.Uint32(rest[40:]))
		rest = rest[chunkFixedLen:]
		if c.offset != from || c.end <= c.offset || c.end > segmentBytes || hashes > int64(len(rest)/4) {
			return nil, errTorn
		}
		c.invocations = make([]uint32, hashes)
		for i := range c.invocations {
			c.invocations[i] = le.Uint32(rest[4*i:])
		}
		rest, from = rest[4*hashes:], c.end
		chunks = append(chunks, c)
	}
	if len(rest) != 0 {
		return nil, errTorn
	}
	return chunks, nil
}
