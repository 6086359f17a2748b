package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strconv"
)

// MaxMeta bounds the meta JSON of a frame.
const MaxMeta = 1 << 20

// The kinds of a Chunk.
const (
	KindJSON  = "json"  // a JSON value
	KindText  = "text"  // text as it is to be written
	KindBytes = "bytes" // bytes as they are to be written
)

const metaLengthSize = 4

// AppendMeta appends the payload of an Exec, Resp or Chunk to dst.
func AppendMeta(dst, meta, raw []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(meta)))
	return append(append(dst, meta...), raw...)
}

// SplitMeta parts the payload of an Exec, Resp or Chunk. Both parts share its memory.
func SplitMeta(payload []byte) (meta, raw []byte, err error) {
	if len(payload) < metaLengthSize {
		return nil, nil, protocolError("a payload of %d bytes has no room for its meta length", len(payload))
	}
	n := binary.BigEndian.Uint32(payload)
	rest := payload[metaLengthSize:]
	if uint64(n) > uint64(len(rest)) || n > MaxMeta {
		return nil, nil, protocolError("a meta length of %d in a payload of %d bytes", n, len(payload))
	}
	return rest[:n:n], rest[n:], nil
}

// appendExecMeta writes what json.Marshal would: the hot path has no room for reflection.
func appendExecMeta(dst []byte, m *ExecMeta) []byte {
	dst = appendString(append(dst, `{"request_id":`...), m.RequestID)
	dst = strconv.AppendInt(append(dst, `,"deadline_ms":`...), m.DeadlineMS, 10)
	if m.TraceID != "" {
		dst = appendString(append(dst, `,"trace_id":`...), m.TraceID)
	}
	if m.Traceparent != "" {
		dst = appendString(append(dst, `,"traceparent":`...), m.Traceparent)
	}
	if m.Stream {
		dst = append(dst, `,"stream":true`...)
	}
	return append(dst, '}')
}

func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string always marshals
			return append(dst, quoted...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// decodeExecMeta reads what appendExecMeta writes, and any other JSON of that meaning.
func decodeExecMeta(b []byte, m *ExecMeta) error {
	if scanExecMeta(b, m) {
		return nil
	}
	*m = ExecMeta{}
	return decodeJSON(b, m)
}

// scanExecMeta reads meta in the very form of appendExecMeta, without reflection.
func scanExecMeta(b []byte, m *ExecMeta) (ok bool) {
	*m = ExecMeta{}
	if m.RequestID, b, ok = scanString(b, `{"request_id":"`); !ok {
		return false
	}
	if b, ok = bytes.CutPrefix(b, []byte(`,"deadline_ms":`)); !ok {
		return false
	}
	digits := 0
	for digits < len(b) && digits < 18 && '0' <= b[digits] && b[digits] <= '9' {
		m.DeadlineMS = m.DeadlineMS*10 + int64(b[digits]-'0')
		digits++
	}
	if digits == 0 || b[0] == '0' && digits > 1 {
		return false
	}
	b = b[digits:]
	if value, rest, found := scanString(b, `,"trace_id":"`); found {
		m.TraceID, b = value, rest
	}
	if value, rest, found := scanString(b, `,"traceparent":"`); found {
		m.Traceparent, b = value, rest
	}
	b, m.Stream = bytes.CutPrefix(b, []byte(`,"stream":true`))
	return string(b) == "}"
}

// scanString reads a string of plain characters behind prefix.
func scanString(b []byte, prefix string) (value string, rest []byte, ok bool) {
	b, ok = bytes.CutPrefix(b, []byte(prefix))
	if !ok {
		return "", nil, false
	}
	for i, c := range b {
		switch {
		case c == '"':
			return string(b[:i]), b[i+1:], true
		case c < ' ' || c > '~' || c == '\\':
			return "", nil, false
		}
	}
	return "", nil, false
}

// decodeResp reads a Resp's payload.
func decodeResp(payload []byte) (RespMeta, []byte, error) {
	meta, raw, err := SplitMeta(payload)
	if err != nil {
		return RespMeta{}, nil, err
	}
	if string(meta) == `{"ok":true}` {
		return RespMeta{OK: true}, raw, nil
	}
	var m RespMeta
	if err := decodeJSON(meta, &m); err != nil {
		return RespMeta{}, nil, err
	}
	return m, raw, nil
}

// decodeChunk reads a Chunk's payload.
func decodeChunk(payload []byte) (kind string, raw []byte, err error) {
	meta, raw, err := SplitMeta(payload)
	if err != nil {
		return "", nil, err
	}
	switch string(meta) {
	case `{"kind":"json"}`:
		return KindJSON, raw, nil
	case `{"kind":"text"}`:
		return KindText, raw, nil
	case `{"kind":"bytes"}`:
		return KindBytes, raw, nil
	}
	var m ChunkMeta
	if err := decodeJSON(meta, &m); err != nil {
		return "", nil, err
	}
	switch m.Kind {
	case KindJSON, KindText, KindBytes:
		return m.Kind, raw, nil
	}
	return "", nil, protocolError("a chunk of unknown kind %.40q", m.Kind)
}

// decodeLog reads a Log's payload.
func decodeLog(payload []byte) (stream string, raw []byte, err error) {
	meta, raw, err := SplitMeta(payload)
	if err != nil {
		return "", nil, err
	}
	switch string(meta) {
	case `{"stream":"stdout"}`:
		return StreamStdout, raw, nil
	case `{"stream":"stderr"}`:
		return StreamStderr, raw, nil
	}
	var m LogMeta
	if err := decodeJSON(meta, &m); err != nil {
		return "", nil, err
	}
	switch m.Stream {
	case StreamStdout, StreamStderr:
		return m.Stream, raw, nil
	}
	return "", nil, protocolError("a log of unknown stream %.40q", m.Stream)
}

func decodeJSON(b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return protocolError("not the JSON expected: %v", err)
	}
	return nil
}
