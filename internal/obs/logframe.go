package obs

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"nimbus"
)

// A segment is a header and frames, one a line, little-endian:
//
//	header  magic [8] | function id [16] | number of the first line u64 | CRC-32C of these u32
//	frame   length u32 | CRC-32C of the payload u32 | payload
//	payload time in µs i64 | flags u8 | invocation [16], if flagged | version uvarint |
//	        stream, instance: length uvarint and bytes | text: the rest
const (
	segmentMagic     = "nimlog\x00\x01"
	segmentHeaderLen = 8 + 16 + 8 + 4
	frameHeaderLen   = 8
	minPayload       = 8 + 1 + 1 + 1 + 1
	maxPayload       = maxLogText + 1<<10

	flagTruncated  = 1 << 0
	flagInvocation = 1 << 1
)

// LogLineOverhead is about what a line takes on disk besides its text, in bytes. Who bounds an amount of log
// counts it: empty lines would else take sixty times the bound.
const LogLineOverhead = 64

// maxLogText bounds the text of a line, whatever the installation's limits say.
const maxLogText = 1 << 20

// maxLogName bounds the names in a line: its stream and its instance.
const maxLogName = 255

// errTorn says that the bytes are no whole frame, index or header: the end of what was written before a
// crash, or damage.
var errTorn = errors.New("torn or damaged")

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func appendSegmentHeader(b []byte, function nimbus.ID, first uint64) []byte {
	start := len(b)
	b = append(b, segmentMagic...)
	b = append(b, function[:]...)
	b = binary.LittleEndian.AppendUint64(b, first)
	return binary.LittleEndian.AppendUint32(b, castagnoli(b[start:]))
}

// checkSegmentHeader reports whether b starts with the header of that segment.
func checkSegmentHeader(b []byte, function nimbus.ID, first uint64) bool {
	return len(b) >= segmentHeaderLen && string(b[:segmentHeaderLen]) == string(appendSegmentHeader(nil, function, first))
}

// appendFrame appends the line's frame. The line has been bounded by boundLine.
func appendFrame(b []byte, line *LogLine) []byte {
	start := len(b)
	b = append(b, make([]byte, frameHeaderLen)...)
	b = binary.LittleEndian.AppendUint64(b, uint64(line.Time.UnixMicro()))
	var flags byte
	if line.Truncated {
		flags |= flagTruncated
	}
	if !line.Invocation.IsZero() {
		flags |= flagInvocation
	}
	b = append(b, flags)
	if flags&flagInvocation != 0 {
		b = append(b, line.Invocation[:]...)
	}
	b = binary.AppendUvarint(b, uint64(line.Version))
	b = appendName(b, line.Stream)
	b = appendName(b, line.Instance)
	b = append(b, line.Text...)
	payload := b[start+frameHeaderLen:]
	binary.LittleEndian.PutUint32(b[start:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[start+4:], castagnoli(payload))
	return b
}

func appendName(b []byte, name string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(name))), name...)
}

// frame is a decoded line whose bytes still belong to the buffer it was read from.
type frame struct {
	micros                 int64
	invocation             nimbus.ID
	version                uint64
	truncated              bool
	stream, instance, text []byte
}

// decodeFrame reads the frame at the start of b and returns how long it is; errTorn when there is none.
func decodeFrame(b []byte) (frame, int, error) {
	if len(b) < frameHeaderLen {
		return frame{}, 0, errTorn
	}
	size := int64(binary.LittleEndian.Uint32(b))
	if size < minPayload || size > maxPayload || size > int64(len(b)-frameHeaderLen) {
		return frame{}, 0, errTorn
	}
	end := frameHeaderLen + int(size)
	payload := b[frameHeaderLen:end]
	if castagnoli(payload) != binary.LittleEndian.Uint32(b[4:]) {
		return frame{}, 0, errTorn
	}
	f, ok := decodePayload(payload)
	if !ok {
		return frame{}, 0, errTorn
	}
	return f, end, nil
}

func decodePayload(p []byte) (frame, bool) {
	f := frame{micros: int64(binary.LittleEndian.Uint64(p)), truncated: p[8]&flagTruncated != 0}
	flags, rest := p[8], p[9:]
	if flags&flagInvocation != 0 {
		if len(rest) < len(f.invocation) {
			return f, false
		}
		rest = rest[copy(f.invocation[:], rest):]
	}
	version, n := binary.Uvarint(rest)
	if n <= 0 {
		return f, false
	}
	f.version, rest = version, rest[n:]
	var ok bool
	if f.stream, rest, ok = cutName(rest); !ok {
		return f, false
	}
	f.instance, f.text, ok = cutName(rest)
	return f, ok
}

func cutName(b []byte) (name, rest []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > maxLogName || size > uint64(len(b)-n) {
		return nil, nil, false
	}
	end := n + int(size)
	return b[n:end], b[end:], true
}

// line returns the frame as a line with memory of its own.
func (f *frame) line(function nimbus.ID, seq uint64) LogLine {
	return LogLine{
		Seq: seq, Time: time.UnixMicro(f.micros).UTC(), Function: function, Version: int64(f.version),
		Invocation: f.invocation, Instance: string(f.instance), Stream: streamName(f.stream),
		Text: string(f.text), Truncated: f.truncated,
	}
}

// streamName spares the usual names an allocation.
func streamName(b []byte) string {
	for _, name := range [...]string{StreamStdout, StreamStderr, StreamPlatform} {
		if string(b) == name {
			return name
		}
	}
	return string(b)
}

// boundLine makes a line fit a frame: the time as precise as it is kept, texts cut to their bounds.
func boundLine(line LogLine) LogLine {
	line.Time = line.Time.UTC().Truncate(time.Microsecond)
	line.Stream = line.Stream[:min(len(line.Stream), maxLogName)]
	line.Instance = line.Instance[:min(len(line.Instance), maxLogName)]
	if len(line.Text) > maxLogText {
		line.Text, line.Truncated = line.Text[:maxLogText], true
	}
	return line
}
