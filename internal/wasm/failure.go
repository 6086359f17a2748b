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
	return wire.RespMeta{Type: f.Type, Message: f.Message, Stack: f.Stack}
}

func invalid(format string, args ...any) *Failure {
	return &Failure{Type: "Wasm.InvalidModule", Message: fmt.Sprintf(format, args...)}
}

func tooLarge(size, bound int64) *Failure {
	meta := wire.TooLarge(fmt.Sprintf("the response has reached %d bytes", size), bound)
	return &Failure{Type: meta.Type, Message: meta.Message}
}

// exitError says that the program ended with a status other than 0.
type exitError struct{ status int32 }

// Error implements error.
func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.status) }

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

// explain turns what went wrong in an instance into a Failure.
func (f *Function) explain(err error) *Failure {
	failure, exit := (*Failure)(nil), (*exitError)(nil)
	switch {
	case errors.As(err, &failure):
		return failure
	case errors.As(err, &exit):
		return f.exited(exit)
	}
	failure = &Failure{Type: "Wasm.Trap"}
	pointer, null, closed, abort := (*pointerError)(nil), (*nullError)(nil), (*sys.ExitError)(nil), (*aborted)(nil)
	switch {
	case errors.As(err, &null) && f.memory.refused:
		failure.Type, failure.Message = "OutOfMemory", err.Error()
	case errors.As(err, &null), errors.As(err, &pointer):
		failure.Type, failure.Message = "Wasm.InvalidPointer", err.Error()
	case errors.As(err, &closed):
		return f.exited(&exitError{status: int32(closed.ExitCode())})
	case errors.As(err, &abort):
		failure.Type, failure.Message, failure.Stack = "Wasm.Abort", abort.message, stackOf(err)
		if abort.at != "" {
			failure.Message += " (" + abort.at + ")"
		}
	default:
		failure.Stack = stackOf(err)
		failure.Message = trapReason(err)
		if len(failure.Stack) > 0 {
			failure.Message += " in " + failure.Stack[0]
		}
		if said := f.words.panicked; said != "" {
			failure.Message += ": " + said
		}
	}
	if f.memory.refused {
		failure.Message += fmt.Sprintf("; before that, its memory was not given more than the %d MB it may have", f.memory.limit>>20)
	}
	return failure
}

func (f *Function) exited(e *exitError) *Failure {
	failure := &Failure{Type: "Runtime.ExitError", Message: e.Error()}
	if why := f.words.reason(); why != "" {
		failure.Message += ": " + why
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
