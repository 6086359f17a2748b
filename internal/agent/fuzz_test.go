//go:build linux

package agent

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"pgregory.net/rapid"

	"nimbus/internal/wire"
)

// FuzzPrelude sees that a prelude is an object with a status, and that nothing of the body is lost.
func FuzzPrelude(f *testing.F) {
	f.Add([]byte("{\"statusCode\":201}\x00\x00\x00\x00\x00\x00\x00\x00body"))
	f.Add([]byte("{}\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("null\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		at := bytes.Index(body, preludeEnd)
		for _, source := range []io.Reader{bytes.NewReader(body), iotest.OneByteReader(bytes.NewReader(body)), iotest.DataErrReader(bytes.NewReader(body))} {
			prelude, rest, err := readPrelude(source)
			if err != nil {
				var fields map[string]json.RawMessage
				if at >= 0 && json.Unmarshal(body[:at], &fields) == nil && fields != nil {
					t.Errorf("%q was refused: %v", body[:at], err)
				}
				continue
			}
			var fields map[string]json.RawMessage
			if err := json.Unmarshal(prelude, &fields); err != nil || fields["statusCode"] == nil {
				t.Errorf("%q became %q, %v", body, prelude, err)
			}
			if got, err := io.ReadAll(rest); err != nil || !bytes.Equal(got, body[at+len(preludeEnd):]) {
				t.Errorf("the body of %q is %q, %v", body, got, err)
			}
		}
	})
}

// FuzzOutput sees that whatever a program prints or reports, the outcome can be sent.
func FuzzOutput(f *testing.F) {
	f.Add([]byte(`{"a":1}`))
	f.Add([]byte("1 2"))
	f.Add([]byte(`{"errorMessage":"m","errorType":"T","stackTrace":["a",{"path":"p","line":1,"label":"l"},1]}`))
	f.Add([]byte("panic: boom\n\ngoroutine 1 [running]:\n\tx"))
	f.Fuzz(func(t *testing.T, out []byte) {
		meta, raw := result(out)
		if meta.OK != json.Valid(bytes.TrimSpace(out)) || meta.OK == (len(raw) == 0) || !meta.OK && meta.Message == "" {
			t.Errorf("%q became %+v, %q", out, meta, raw)
		}
		if !json.Valid(asJSON(out)) {
			t.Errorf("%q became %q", out, asJSON(out))
		}
		if failure := readFailure(out, ""); failure.OK || failure.Type == "" {
			t.Errorf("%q became %+v", out, failure)
		}
		if crash, ok := parseCrash(string(out)); ok && crash.Type == "" {
			t.Errorf("%q became %+v", out, crash)
		}
	})
}

// TestTextEndsWithCharacters cuts text anywhere.
func TestTextEndsWithCharacters(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(rapid.String().Draw(t, "text"))
		end := wholeCharacters(text[:rapid.IntRange(0, len(text)).Draw(t, "cut")])
		if !utf8.Valid(text[:end]) || len(text)-end > 0 && !utf8.RuneStart(text[end]) {
			t.Fatalf("%q ends with half a character", text[:end])
		}
	})
	for _, broken := range []string{"\xff", "a\x80", "\x80\x80\x80\x80\x80", "a\xf0\xff"} {
		if end := wholeCharacters([]byte(broken)); end != len(broken) {
			t.Errorf("%q: what is no text is held back from %d on", broken, end)
		}
	}
}

func TestXRayTrace(t *testing.T) {
	t.Parallel()
	for want, meta := range map[string]wire.ExecMeta{
		"": {TraceID: "short"},
		"Root=1-0af76519-16cd43dd8448eb211c80319c":                                   {TraceID: "0af7651916cd43dd8448eb211c80319c"},
		"Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1": {Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03"},
		"Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=0": {Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02"},
	} {
		if got := xrayTrace(&meta); got != want {
			t.Errorf("%+v: got %q, want %q", meta, got, want)
		}
	}
}
