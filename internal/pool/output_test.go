package pool

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/obs"
)

// tape writes lines down: who, stream, text, and whether it was cut.
type tape struct{ lines []string }

func (t *tape) Append(lines ...obs.LogLine) {
	for _, l := range lines {
		who := "instance"
		if !l.Invocation.IsZero() {
			who = "call"
		}
		cut := ""
		if l.Truncated {
			cut = "…"
		}
		t.lines = append(t.lines, fmt.Sprintf("%s %s: %s%s", who, l.Stream, l.Text, cut))
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		print func(o *output)
		want  []string
	}{
		"whole lines":      {func(o *output) { o.write(driver.Stdout, []byte("a\nb\n")) }, []string{"call stdout: a", "call stdout: b"}},
		"in pieces":        {func(o *output) { o.write(driver.Stdout, []byte("a")); o.write(driver.Stdout, []byte("b\nc")) }, []string{"call stdout: ab", "call stdout: c"}},
		"streams apart":    {func(o *output) { o.write(driver.Stdout, []byte("a")); o.write(driver.Stderr, []byte("b\n")) }, []string{"call stderr: b", "call stdout: a"}},
		"carriage returns": {func(o *output) { o.write(driver.Stdout, []byte("a\r\nb\r")) }, []string{"call stdout: a", "call stdout: b"}},
		"empty lines":      {func(o *output) { o.write(driver.Stdout, []byte("\n\n")) }, []string{"call stdout: ", "call stdout: "}},
		"not UTF-8":        {func(o *output) { o.write(driver.Stdout, []byte("a\xffb\n")) }, []string{"call stdout: a\uFFFDb"}},
		"a rune in pieces": {func(o *output) { o.write(driver.Stdout, []byte("\xc3")); o.write(driver.Stdout, []byte("\xa9\n")) }, []string{"call stdout: é"}},
		"a long line":      {func(o *output) { o.write(driver.Stdout, []byte("0123456789abc\nx\n")) }, []string{"call stdout: 0123456789…", "call stdout: x"}},
		"too much":         {func(o *output) { o.write(driver.Stdout, []byte(strings.Repeat("123456789\n", 9))) }, []string{"call stdout: 123456789", "call stdout: 123456789", "call stdout: 123456789", "call platform: log truncated: the bound of one call was passed"}},
		"too many lines":   {func(o *output) { o.write(driver.Stdout, bytes.Repeat([]byte("\n"), 30)) }, []string{"call stdout: ", "call stdout: ", "call stdout: ", "call platform: log truncated: the bound of one call was passed"}},
		"the platform's":   {func(o *output) { o.write(driver.Stdout, []byte("a")); o.print([]string{"b\nc", "0123456789abc"}) }, []string{"call stdout: a", "call platform: b c", "call platform: 0123456789…"}},
		"between calls":    {func(o *output) { o.write(driver.Stdout, []byte("a")); o.end(); o.write(driver.Stdout, []byte("b\n")) }, []string{"call stdout: a", "instance stdout: b"}},
		"a bound each call": {func(o *output) {
			o.write(driver.Stdout, []byte(strings.Repeat("123456789\n", 4)))
			o.begin(nimbus.NewID(), KeepNone)
			o.write(driver.Stdout, []byte("a\n"))
		}, []string{"call stdout: 123456789", "call stdout: 123456789", "call stdout: 123456789", "call platform: log truncated: the bound of one call was passed", "call stdout: a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tape := &tape{}
			o := newOutput(tape, nimbus.Limits{LogLine: 10, LogCall: 3 * (9 + obs.LogLineOverhead)}, "i")
			o.write(driver.Stdout, []byte("a blank's, and nobody's\n"))
			o.serve(nimbus.NewID(), 1)
			o.begin(nimbus.NewID(), KeepNone)
			c.print(o)
			o.close()
			if diff := cmp.Diff(c.want, tape.lines); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestKeptLines(t *testing.T) {
	t.Parallel()
	o := newOutput(&tape{}, nimbus.DefaultLimits(), "i")
	o.serve(nimbus.NewID(), 1)
	o.write(driver.Stdout, []byte("before\n"))
	o.begin(nimbus.NewID(), KeepLines)
	o.write(driver.Stdout, []byte("a\nb"))
	o.print([]string{"c"})
	if diff := cmp.Diff([]string{"a", "b", "c"}, o.lines()); diff != "" {
		t.Error(diff)
	}
	o.end()
	o.write(driver.Stdout, []byte("after\n"))
	o.begin(nimbus.NewID(), KeepNone)
	if got := o.lines(); got != nil {
		t.Errorf("kept %q", got)
	}
}

// BenchmarkOutputOverTheBound is of what is printed once a call has logged enough.
func BenchmarkOutputOverTheBound(b *testing.B) {
	o := newOutput(&tape{}, nimbus.Limits{LogLine: 10, LogCall: 1}, "i")
	o.serve(nimbus.NewID(), 1)
	o.begin(nimbus.NewID(), KeepNone)
	p := bytes.Repeat([]byte("\n"), 32<<10)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		o.write(driver.Stdout, p)
	}
}
