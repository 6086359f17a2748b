package obs

import (
	"strings"
	"testing"
	"time"

	"nimbus"
)

func TestParseTraceparent(t *testing.T) {
	t.Parallel()
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, c := range []struct{ name, in, want string }{
		{"version 00", good, good},
		{"unknown flags are dropped", strings.TrimSuffix(good, "01") + "fd", good},
		{"a later version", "cc" + good[2:], good},
		{"a later version with more", "cc" + good[2:] + "-what-comes", good},
		{"empty", "", ""},
		{"short", good[:54], ""},
		{"version 00 with more", good + "-more", ""},
		{"a later version with more, undashed", "cc" + good[2:] + ".more", ""},
		{"version ff", "ff" + good[2:], ""},
		{"upper case", strings.ToUpper(good), ""},
		{"no hex", strings.Replace(good, "0af7", "0ag7", 1), ""},
		{"zero trace", "00-" + strings.Repeat("0", 32) + good[35:], ""},
		{"zero span", good[:36] + strings.Repeat("0", 16) + "-01", ""},
		{"dashes elsewhere", strings.Replace(good, "-b7", "b-7", 1), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := ParseTraceparent(c.in)
			if ok != (c.want != "") || ok && got.String() != c.want {
				t.Errorf("ParseTraceparent(%q) = %s, %v; want %q", c.in, got, ok, c.want)
			}
		})
	}
}

func TestNewTrace(t *testing.T) {
	t.Parallel()
	trace, other := NewTrace(), NewTrace()
	if !trace.Valid() || trace == other || trace.Flags&FlagSampled != 0 {
		t.Errorf("traces %s and %s", trace, other)
	}
	text := trace.String()
	if got := TraceIDOf(text); len(got) != 32 || !strings.HasPrefix(text, "00-"+got+"-") || TraceIDOf("") != "" {
		t.Errorf("the trace id of %s is %s", text, got)
	}
}

func TestContextKnowsItsRequest(t *testing.T) {
	t.Parallel()
	r := Request{ID: nimbus.NewID(), Arrived: time.Now(), Trace: NewTrace(), Traceparent: "x"}
	ctx := WithRequest(t.Context(), &r)
	if RequestFrom(ctx) != r || RequestIDFrom(ctx) != r.ID || RequestFrom(t.Context()) != (Request{}) || !RequestIDFrom(t.Context()).IsZero() {
		t.Error("the context does not know what it was told")
	}
}

func FuzzParseTraceparent(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Add("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-x")
	f.Add("ff--")
	f.Fuzz(func(t *testing.T, s string) {
		parsed, ok := ParseTraceparent(s)
		if !ok {
			return
		}
		again, ok := ParseTraceparent(parsed.String())
		if !ok || again != parsed {
			t.Errorf("%q became %s, which became %s", s, parsed, again)
		}
	})
}
