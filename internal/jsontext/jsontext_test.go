package jsontext

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "quote \" backslash \\ slash /", "tab\tline\nreturn\r", "\x00\x01\x1f\x7f",
		"žluťoučký 日本 🎉", "\u2028\u2029", "bad \xff\xfe utf-8", "\xed\xa0\x80", "cut \xe2\x80", "<script>&amp;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := AppendString([]byte("x"), s)
		if string(got) != "x"+string(AppendString(nil, []byte(s))) {
			t.Fatalf("text and bytes of %q differ", s)
		}
		if !json.Valid(got[1:]) {
			t.Fatalf("%q became %s, which is not JSON", s, got[1:])
		}
		reference, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var ours, theirs string
		if json.Unmarshal(got[1:], &ours) != nil || json.Unmarshal(reference, &theirs) != nil || ours != theirs {
			t.Fatalf("%q reads back as %q, not %q", s, ours, theirs)
		}
		if strings.ContainsAny(string(got), "\u2028\u2029\n\r") {
			t.Fatalf("%q became %s, which has a line break", s, got)
		}
	})
}

func TestAppendMillis(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0:                       "0",
		999:                     "0",
		3 * time.Microsecond:    "0.003",
		1250 * time.Microsecond: "1.25",
		12 * time.Second:        "12000",
		900*time.Second + 1000:  "900000.001",
	} {
		if got := string(AppendMillis(nil, d)); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestAppendNullable(t *testing.T) {
	t.Parallel()
	if got := string(AppendNullable(nil, "")); got != "null" {
		t.Errorf("empty: %s", got)
	}
	if got := string(AppendNullable(nil, "x")); got != `"x"` {
		t.Errorf("x: %s", got)
	}
}

func BenchmarkAppendString(b *testing.B) {
	text := strings.Repeat("a plain header value; ", 4)
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendString(buf[:0], text)
	}
}
