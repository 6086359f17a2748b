package obs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nimbus"
)

func TestFrameRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		line := boundLine(LogLine{
			Time:      time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "time")),
			Function:  nimbus.NewID(),
			Version:   rapid.Int64Range(0, math.MaxInt64).Draw(t, "version"),
			Stream:    rapid.SampledFrom([]string{StreamStdout, StreamStderr, StreamPlatform, "", "other"}).Draw(t, "stream"),
			Instance:  rapid.String().Draw(t, "instance"),
			Text:      string(rapid.SliceOf(rapid.Byte()).Draw(t, "text")),
			Truncated: rapid.Bool().Draw(t, "truncated"),
		})
		if rapid.Bool().Draw(t, "called") {
			line.Invocation = nimbus.NewID()
		}
		encoded := appendFrame([]byte("before"), &line)[len("before"):]
		f, n, err := decodeFrame(append(encoded, "after"...))
		if err != nil || n != len(encoded) {
			t.Fatalf("decode: %d bytes, %v", n, err)
		}
		if diff := cmp.Diff(line, f.line(line.Function, 0)); diff != "" {
			t.Fatalf("line (-want +got):\n%s", diff)
		}
		for cut := range len(encoded) {
			if _, _, err := decodeFrame(encoded[:cut]); !errors.Is(err, errTorn) {
				t.Fatalf("%d of %d bytes: %v", cut, len(encoded), err)
			}
		}
		flip := rapid.IntRange(0, len(encoded)-1).Draw(t, "flip")
		encoded[flip] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, _, err := decodeFrame(encoded); !errors.Is(err, errTorn) {
			t.Fatalf("a flipped bit in byte %d: %v", flip, err)
		}
	})
}

func TestLinesAreBounded(t *testing.T) {
	t.Parallel()
	line := boundLine(LogLine{Instance: strings.Repeat("i", 1000), Stream: strings.Repeat("s", 1000), Text: strings.Repeat("t", 2<<20)})
	if len(line.Text) != maxLogText || !line.Truncated {
		t.Errorf("%d bytes of text, truncated %v", len(line.Text), line.Truncated)
	}
	if _, _, err := decodeFrame(appendFrame(nil, &line)); err != nil {
		t.Errorf("the longest line: %v", err)
	}
}

func TestIndexRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var b indexBuilder
		end, calls := int64(segmentHeaderLen), newIDs(5)
		for seq := range rapid.Uint64Range(0, 40).Draw(t, "lines") {
			size := rapid.Int64Range(20, chunkBytes/2).Draw(t, "size")
			id := rapid.SampledFrom(append(calls, nimbus.ID{})).Draw(t, "call")
			b.add(seq, end, end+size, rapid.Int64Range(0, 1000).Draw(t, "time"), id)
			end += size
		}
		chunks := b.finish()
		encoded := appendIndex(nil, end, chunks)
		got, err := decodeIndex(encoded, end)
		if err != nil {
			t.Fatal(err)
		}
		if len(chunks) > 0 {
			if diff := cmp.Diff(chunks, got, cmp.AllowUnexported(chunk{})); diff != "" {
				t.Fatalf("index (-want +got):\n%s", diff)
			}
		}
		if _, err := decodeIndex(encoded, end+1); !errors.Is(err, errTorn) {
			t.Fatalf("an index of another segment: %v", err)
		}
	})
}

// FuzzScanSegment reads what pretends to be a segment: behind whole frames it must stop, and what it has read
// must be what was written.
func FuzzScanSegment(f *testing.F) {
	id := nimbus.ID{1}
	whole := appendSegmentHeader(nil, id, 7)
	for _, line := range numbered(id, 0, 3, newIDs(1)) {
		whole = appendFrame(whole, &line)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add(append(bytes.Clone(whole), make([]byte, 64)...))
	f.Add(binary.LittleEndian.AppendUint32(appendSegmentHeader(nil, id, 7), math.MaxUint32))
	f.Add([]byte(segmentMagic))
	f.Fuzz(func(t *testing.T, raw []byte) {
		g := segment{first: 7, size: int64(len(raw))}
		b, next, end, err := scanSegment(bytes.NewReader(raw), id, &g)
		if err != nil {
			if !errors.Is(err, errTorn) {
				t.Errorf("scan: %v", err)
			}
			return
		}
		found := selection{q: &LogQuery{}, limit: math.MaxInt}
		for _, c := range b.finish() {
			if err := found.addFrames(id, content{first: c.first, frames: raw[c.offset:c.end]}); err != nil {
				t.Fatalf("a chunk of the index is torn: %v", err)
			}
		}
		if uint64(len(found.lines)) != next-7 {
			t.Errorf("%d lines by the index, %d by the scan", len(found.lines), next-7)
		}
		if end > int64(len(raw)) || len(found.lines) == 0 && end != segmentHeaderLen {
			t.Errorf("%d lines end at %d of %d bytes", len(found.lines), end, len(raw))
		}
	})
}

func FuzzDecodeIndex(f *testing.F) {
	var b indexBuilder
	b.add(1, segmentHeaderLen, segmentHeaderLen+100, 5, nimbus.ID{9})
	f.Add(appendIndex(nil, segmentHeaderLen+100, b.finish()), int64(segmentHeaderLen+100))
	f.Add(appendIndex(nil, 10, nil), int64(10))
	f.Add([]byte(indexMagic), int64(0))
	f.Fuzz(func(t *testing.T, content []byte, size int64) {
		// A fuzzer does not find checksums.
		if len(content) >= 4 {
			content = binary.LittleEndian.AppendUint32(content[:len(content)-4:len(content)-4], castagnoli(content[:len(content)-4]))
		}
		chunks, err := decodeIndex(content, size)
		if err != nil {
			return
		}
		if !bytes.Equal(appendIndex(nil, size, chunks), content) {
			t.Errorf("the index says something else when written again")
		}
	})
}
