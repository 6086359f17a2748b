package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"nimbus"
	"nimbus/internal/agent/buildmsg"
	"nimbus/internal/driver"
	"nimbus/internal/runtime"
	"nimbus/internal/wire"
)

const (
	codeDir     = "/var/function" // where an instance has the directory it is given
	builderPIDs = 1024            // processes and threads: go runs a compiler for each core
	stopGrace   = 10 * time.Second
)

// ask has an instance of its own compile what dir holds, without a network, and writes the answer to out. What the
// instance prints goes to progress. Errors are as Compile's.
func (j *job) ask(ctx context.Context, rt runtime.Runtime, dir string, request any, out *boundedWriter) (err error) {
	event, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w", rt.Name, err)
	}
	id := nimbus.NewID().String()
	printed := &lineWriter{emit: j.progress}
	size := driver.Resources{Memory: j.cfg.Memory, PIDs: builderPIDs, Tmp: j.cfg.Memory}
	in, err := j.starter.Start(ctx, driver.Spec{ID: id, Runtime: rt, Resources: size,
		Output: func(_ driver.Stream, p []byte) { printed.write(p) },
		Code: &driver.Code{Dir: dir, Resources: size, Init: wire.InitMsg{
			Handler: rt.Name, CodeDir: codeDir, FunctionName: rt.Name, FunctionID: id, FunctionVersion: "1",
			Namespace: nimbus.DefaultNamespace, MemoryMB: j.cfg.Memory / nimbus.MiB,
			MaxResponse: nimbus.MiB, MaxStream: out.left + 1}}})
	if err != nil {
		return fmt.Errorf("start %s: %w", rt.Name, err)
	}
	defer func() {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
		defer cancel()
		if stopErr := in.Stop(stopCtx); stopErr != nil {
			err = errors.Join(err, fmt.Errorf("stop %s: %w", rt.Name, stopErr))
		}
		printed.end()
	}()
	call := &driver.Call{Event: event, Meta: wire.ExecMeta{RequestID: id, Stream: true},
		Chunk: func(_ string, raw []byte) error { _, err := out.Write(raw); return err }}
	if deadline, set := ctx.Deadline(); set {
		call.Meta.DeadlineMS = deadline.UnixMilli()
	}
	outcome, err := in.Invoke(ctx, call)
	return j.judge(rt, outcome, err)
}

// judge tells the source's faults from the platform's.
func (j *job) judge(rt runtime.Runtime, outcome driver.Outcome, err error) error {
	var ended *driver.ExitError
	switch {
	case errors.Is(err, errTooMuch):
		return fail("%s", errTooMuch)
	case errors.As(err, &ended) && ended.Exit.OutOfMemory:
		return j.outOfMemory()
	case err != nil:
		return fmt.Errorf("run %s: %w", rt.Name, err)
	case outcome.Resp.OK:
		return nil
	case outcome.Resp.Type != buildmsg.Failed:
		return fmt.Errorf("%s: %s: %s", rt.Name, outcome.Resp.Type, outcome.Resp.Message)
	case killed(outcome.Resp.Message):
		// The kernel took one of the compiler's processes, and not the one that answers.
		return errors.Join(j.outOfMemory(), &CompileError{Message: outcome.Resp.Message})
	}
	return &CompileError{Message: outcome.Resp.Message}
}

func (j *job) outOfMemory() error {
	return fail("the compiler needed more than its bound of %d MB (build.memory_mb)", j.cfg.Memory/nimbus.MiB)
}

// killed recognises what go build says of a compiler that was killed.
func killed(message string) bool { return strings.Contains(message, ": signal: killed") }

// errTooMuch says that what was compiled is over its bound.
var errTooMuch = errors.New("what was compiled is larger than a package may be")

// boundedWriter writes so many bytes and no more.
type boundedWriter struct {
	w    io.Writer
	left int64
}

// Write implements io.Writer.
func (b *boundedWriter) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errTooMuch
	}
	return b.w.Write(p)
}

// Bounds of what a build prints.
const (
	maxLine  = 4 << 10
	maxLines = 2000
)

// lineWriter hands on whole lines, so many and no more.
type lineWriter struct {
	emit func(line string)

	mu    sync.Mutex
	part  []byte
	lines int
}

func (l *lineWriter) write(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range p {
		switch {
		case c == '\n':
			l.flush()
		case len(l.part) < maxLine:
			l.part = append(l.part, c)
		}
	}
}

// Write implements io.Writer.
func (l *lineWriter) Write(p []byte) (int, error) {
	l.write(p)
	return len(p), nil
}

// end hands on a line that was never ended.
func (l *lineWriter) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
}

// flush hands the line on; the lock is held, which keeps the lines in order.
func (l *lineWriter) flush() {
	line := strings.ToValidUTF8(strings.TrimRight(string(l.part), "\r"), "\uFFFD")
	l.part = l.part[:0]
	if line == "" || l.lines > maxLines {
		return
	}
	if l.lines++; l.lines > maxLines {
		line = "…"
	}
	l.emit(line)
}
