package obs

import (
	"crypto/rand"
	"encoding/hex"
)

// TraceContext is a position in a distributed trace (W3C Trace Context, level 2). The zero value is none.
type TraceContext struct {
	TraceID [16]byte
	SpanID  [8]byte
	Flags   byte
}

// The flags the specification defines; others are not passed on.
const (
	FlagSampled byte = 1 << 0
	FlagRandom  byte = 1 << 1 // the trace id is random in its last 7 bytes

	knownFlags = FlagSampled | FlagRandom
)

// traceparentLen is the length of version 00, and of the part of later versions that is understood.
const traceparentLen = len("00-00000000000000000000000000000000-0000000000000000-00")

// ParseTraceparent reads a traceparent header. It reports false for anything the specification tells one to
// ignore; then a new trace starts.
func ParseTraceparent(s string) (TraceContext, bool) {
	if len(s) < traceparentLen || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return TraceContext{}, false
	}
	var (
		version, flags [1]byte
		t              TraceContext
	)
	if !lowerHex(version[:], s[:2]) || !lowerHex(t.TraceID[:], s[3:35]) ||
		!lowerHex(t.SpanID[:], s[36:52]) || !lowerHex(flags[:], s[53:55]) {
		return TraceContext{}, false
	}
	// Version ff is forbidden; a version above 00 may add fields, each after a dash.
	if version[0] == 0xff || len(s) > traceparentLen && (version[0] == 0 || s[traceparentLen] != '-') {
		return TraceContext{}, false
	}
	t.Flags = flags[0] & knownFlags
	return t, t.Valid()
}

// NewTrace starts a trace that nobody records.
func NewTrace() TraceContext {
	t := TraceContext{Flags: FlagRandom}
	_, _ = rand.Read(t.TraceID[:]) // crypto/rand never fails (it aborts the process)
	_, _ = rand.Read(t.SpanID[:])
	return t
}

// Valid reports whether neither id is zero.
func (t TraceContext) Valid() bool { return t.TraceID != [16]byte{} && t.SpanID != [8]byte{} }

// String returns the traceparent header.
func (t TraceContext) String() string {
	b := make([]byte, 0, traceparentLen)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, t.TraceID[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, t.SpanID[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, []byte{t.Flags})
	return string(b)
}

// TraceIDOf returns the trace id of a traceparent header that String has written: 32 hex digits, "" of "".
func TraceIDOf(traceparent string) string {
	if len(traceparent) < traceparentLen {
		return ""
	}
	return traceparent[3:35]
}

// lowerHex decodes hex digits; the specification allows no upper case.
func lowerHex(dst []byte, s string) bool {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'F' {
			return false
		}
	}
	n, err := hex.Decode(dst, []byte(s))
	return err == nil && n == len(dst)
}
