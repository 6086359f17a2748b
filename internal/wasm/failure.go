package wasm

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/sys"

	"nimbus/internal/wire"
)

// Failure is the user's: a module that can't be used, or a call that went wrong.
type Failure struct {
	Type    string
	Message string
	Stack   []string // of the module, innermost first
}

// Error implements error.
func (f *Failure) Error() string { return f.Message }

// Resp is the failure as the protocol says it.
func (f *Failure) Resp() wire.RespMeta {
	return wire.RespMeta{Type: f.Type, Message: f.Message, Stack: f.Stack, OverMemory: f.Type == overMemory}
}

func invalid(format string, args ...any) *Failure {
	return &Failure{Type: "Wasm.InvalidModule", Message: fmt.Sprintf(format, args...)}
}

func tooLarge(size, bound int64) *Failure {
	meta := wire.TooLarge(fmt.Sprintf("the response has reached %d bytes", size), bound)
	return &Failure{Type: meta.Type, Message: meta.Message}
}

// nullError says that alloc has returned 0.
type nullError struct{ size int }

// Error implements error.
func (e *nullError) Error() string { return fmt.Sprintf("alloc(%d) has returned 0", e.size) }

// pointerError says that a function has returned what lies outside the module's memory.
type pointerError struct {
	doing            string
	at, size, memory uint32
}

// Error implements error.
func (e *pointerError) Error() string {
	return fmt.Sprintf("%s %d for %d bytes, outside the module's memory of %d bytes", e.doing, e.at, e.size, e.memory)
}

// overMemory is the platform's own type, because the platform's bound was met.
const overMemory = "OutOfMemory"

// explain turns what went wrong in an instance into a Failure.
func (f *Function) explain(err error) *Failure {
	if failure := (*Failure)(nil); errors.As(err, &failure) {
		return failure
	}
	failure := f.describe(err)
	if f.memory.refused {
		failure.Message += fmt.Sprintf("; before that, its memory was not given more than the %d MB it may have", f.memory.limit>>20)
	}
	return failure
}

func (f *Function) describe(err error) *Failure {
	pointer, null, exit, abort := (*pointerError)(nil), (*nullError)(nil), (*sys.ExitError)(nil), (*aborted)(nil)
	switch {
	case errors.As(err, &null) && f.memory.refused:
		return &Failure{Type: overMemory, Message: err.Error()}
	case errors.As(err, &null), errors.As(err, &pointer):
		return &Failure{Type: "Wasm.InvalidPointer", Message: err.Error()}
	case errors.As(err, &exit):
		failure := &Failure{Type: "Runtime.ExitError", Message: fmt.Sprintf("exit status %d", int32(exit.ExitCode()))}
		if why := f.words.reason(); why != "" {
			failure.Message += ": " + why
		}
		return failure
	case errors.As(err, &abort):
		return &Failure{Type: "Wasm.Abort", Message: abort.Error(), Stack: stackOf(err)}
	}
	failure := &Failure{Type: "Wasm.Trap", Message: trapReason(err), Stack: stackOf(err)}
	if len(failure.Stack) > 0 {
		failure.Message += " in " + failure.Stack[0]
	}
	if f.words.panicked != "" {
		failure.Message += ": " + f.words.panicked
	}
	return failure
}

// The parts of a trap's text. wazero says what went wrong and where in one error, whose cause it doesn't export.
const (
	stackTitle = "\nwasm stack trace:\n\t"
	trapPrefix = "wasm error: "
	recovered  = " (recovered by wazero)"
)

func trapReason(err error) string {
	reason, _, _ := strings.Cut(err.Error(), stackTitle)
	if _, after, ok := strings.Cut(reason, trapPrefix); ok {
		reason = after
	}
	return strings.TrimSuffix(reason, recovered)
}

// stackOf lists the functions that were running, innermost first, and the lines of source where they are known.
func stackOf(err error) []string {
	_, trace, ok := strings.Cut(err.Error(), stackTitle)
	if !ok {
		return nil
	}
	trace, _, _ = strings.Cut(trace, "\n\n") // wazero's own stack
	lines := strings.Split(trace, "\n\t")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, ".") // the name of the module, which has none
	}
	return lines
}

// check refuses a result that is too large or not one JSON value.
func (f *Function) check(result []byte) error {
	const shown = 100
	switch bound := f.settings.MaxResponse; {
	case bound > 0 && int64(len(result)) > bound:
		return tooLarge(int64(len(result)), bound)
	case len(result) == 0:
		return &Failure{Type: "Runtime.MarshalError", Message: "the module has returned nothing; it has to return a JSON value"}
	case !json.Valid(result) || !utf8.Valid(result):
		return &Failure{Type: "Runtime.MarshalError", Message: fmt.Sprintf("the module has returned what is not a JSON value: %.*q", shown, result)}
	}
	return nil
}
