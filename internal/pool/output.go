package pool

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/obs"
)

// output cuts what an instance prints into lines and stamps them with the invocation that runs. What is
// printed between calls belongs to the instance. Lines are bounded each, and in all per call.
type output struct {
	logs     Logs
	lineMax  int
	callMax  int64
	instance string

	mu         sync.Mutex
	function   nimbus.ID // zero = a blank; what it prints is nobody's and dropped
	version    int64
	invocation nimbus.ID
	left       int64       // bytes that may still be logged of this call
	own        int64       // bytes of the platform's own lines
	full       bool        // the bound was passed, and that was said
	cut        atomic.Bool // likewise, to be read without the mutex
	keep       Keep
	kept       []string
	partial    [2]partial
}

// partial is a line whose end has not come.
type partial struct {
	text []byte
	long bool // more came than is kept
}

func newOutput(logs Logs, limits nimbus.Limits, instance string) *output {
	o := &output{logs: logs, lineMax: int(limits.LogLine), callMax: limits.LogCall, instance: instance}
	o.left, o.own = o.callMax, o.callMax
	return o
}

// serve says whose output it is from now on.
func (o *output) serve(function nimbus.ID, version int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.function, o.version = function, version
}

// write is the instance's driver.Output.
func (o *output) write(stream driver.Stream, p []byte) {
	i, name := 0, obs.StreamStdout
	if stream == driver.Stderr {
		i, name = 1, obs.StreamStderr
	}
	now := time.Now()
	o.mu.Lock()
	var lines []obs.LogLine
	// Once the call has logged enough, its lines are not even looked for: printing without end would else cost
	// the server many times what it costs the function.
	for len(p) > 0 && !o.full {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			o.partial[i].add(p, o.lineMax)
			break
		}
		o.partial[i].add(p[:end], o.lineMax)
		lines = o.finish(lines, i, name, now)
		p = p[end+1:]
	}
	o.mu.Unlock()
	o.append(lines)
}

// begin makes what follows an invocation's.
func (o *output) begin(invocation nimbus.ID, keep Keep) { o.turn(invocation, keep) }

// end makes what follows the instance's own.
func (o *output) end() { o.turn(nimbus.ID{}, KeepNone) }

// turn ends what went before, a line without its end included.
func (o *output) turn(invocation nimbus.ID, keep Keep) {
	o.mu.Lock()
	lines := o.flush()
	o.invocation, o.keep, o.kept = invocation, keep, nil
	o.left, o.own = o.callMax, o.callMax
	if o.full {
		o.full = false
		o.cut.Store(false)
	}
	o.mu.Unlock()
	o.append(lines)
}

// close hands over what is left when the instance has ended.
func (o *output) close() {
	o.mu.Lock()
	lines := o.flush()
	o.mu.Unlock()
	o.append(lines)
}

// print adds lines of the platform's own, after what the instance has printed so far.
func (o *output) print(texts []string) {
	now := time.Now()
	o.mu.Lock()
	lines := o.flush()
	for _, text := range texts {
		var cut partial
		cut.add([]byte(strings.ReplaceAll(text, "\n", " ")), o.lineMax)
		if o.own -= int64(len(cut.text)) + obs.LogLineOverhead; o.own < 0 {
			break
		}
		lines = append(lines, o.line(obs.StreamPlatform, clean(cut.text), cut.long, now))
	}
	o.mu.Unlock()
	o.append(lines)
}

// lines returns what was kept of the call.
func (o *output) lines() []string {
	o.mu.Lock()
	lines := o.flush()
	kept := o.kept
	o.mu.Unlock()
	o.append(lines)
	return kept
}

// append passes lines on. No mutex is held.
func (o *output) append(lines []obs.LogLine) {
	if len(lines) > 0 {
		o.logs.Append(lines...)
	}
}

// flush ends lines whose end has not come. The caller holds the mutex, as everywhere below.
func (o *output) flush() []obs.LogLine {
	if len(o.partial[0].text) == 0 && len(o.partial[1].text) == 0 {
		return nil
	}
	now := time.Now()
	var lines []obs.LogLine
	for i, name := range [...]string{obs.StreamStdout, obs.StreamStderr} {
		if len(o.partial[i].text) > 0 {
			lines = o.finish(lines, i, name, now)
		}
	}
	return lines
}

// finish ends a line and adds it to lines, unless the call has logged enough.
func (o *output) finish(lines []obs.LogLine, stream int, name string, now time.Time) []obs.LogLine {
	p := &o.partial[stream]
	text, long := bytes.TrimSuffix(p.text, []byte{'\r'}), p.long
	defer p.reset()
	if o.function.IsZero() || o.full {
		return lines
	}
	if o.left -= int64(len(text)) + obs.LogLineOverhead; o.left < 0 {
		o.full = true
		o.cut.Store(true)
		return append(lines, o.line(obs.StreamPlatform, "log truncated: the bound of one call was passed", false, now))
	}
	return append(lines, o.line(name, clean(text), long, now))
}

func (o *output) line(stream, text string, truncated bool, now time.Time) obs.LogLine {
	if o.keep == KeepLines {
		o.kept = append(o.kept, text)
	}
	return obs.LogLine{Time: now, Function: o.function, Version: o.version, Invocation: o.invocation,
		Instance: o.instance, Stream: stream, Text: text, Truncated: truncated}
}

// add takes p in as far as the bound allows.
func (l *partial) add(p []byte, bound int) {
	if room := bound - len(l.text); len(p) > room {
		p, l.long = p[:room], true
	}
	l.text = append(l.text, p...)
}

// spareLine is the capacity a finished line may leave behind for the next.
const spareLine = 4096

func (l *partial) reset() {
	l.long = false
	if l.text = l.text[:0]; cap(l.text) > spareLine {
		l.text = nil
	}
}

// clean makes text of bytes.
func clean(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }
