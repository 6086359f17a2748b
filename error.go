package nimbus

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code classes an Error. internal/problem alone turns it into an HTTP status.
type Code string

// The codes. Clients may rely on their text.
const (
	CodeBadRequest          Code = "bad_request"          // malformed: not JSON, contradicting selectors
	CodeInvalid             Code = "invalid"              // well-formed, but a field is out of its bounds
	CodeUnauthenticated     Code = "unauthenticated"      // no key, or a key that isn't one
	CodeForbidden           Code = "forbidden"            // the key lacks the scope
	CodeNotFound            Code = "not_found"            // not there, or outside the caller's namespaces
	CodeConflict            Code = "conflict"             // the name is taken, or the state forbids it
	CodeTooLarge            Code = "too_large"            // a body over its bound
	CodeUnsupportedMedia    Code = "unsupported_media"    // a Content-Type this path does not take
	CodeTooManyRequests     Code = "too_many_requests"    // a bounded queue or limit is full; try again
	CodeInsufficientStorage Code = "insufficient_storage" // the disk is full
	CodeUnavailable         Code = "unavailable"          // stopping, or the store is gone
	CodeInternal            Code = "internal"             // a bug or a broken machine
)

// Codes lists every Code, for tests and documentation.
func Codes() []Code {
	return []Code{
		CodeBadRequest, CodeInvalid, CodeUnauthenticated, CodeForbidden, CodeNotFound, CodeConflict,
		CodeTooLarge, CodeUnsupportedMedia, CodeTooManyRequests, CodeInsufficientStorage,
		CodeUnavailable, CodeInternal,
	}
}

// Error is the one domain error. Detail is for the caller, Err for the log.
type Error struct {
	Code       Code
	Detail     string
	Fields     []FieldError  // the fields at fault, for CodeInvalid
	RetryAfter time.Duration // when trying again makes sense; 0 = unsaid
	Err        error         // the cause; never shown to the caller
}

// FieldError names one field at fault and the bound it broke.
type FieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Errorf returns an Error with a formatted Detail.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// WrapError returns an Error that carries a cause for the log.
func WrapError(code Code, err error, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...), Err: err}
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code))
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	for _, f := range e.Fields {
		b.WriteString("; " + f.Field + ": " + f.Detail)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first Error in err's chain, CodeInternal for any other error and ""
// for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// Invalid gathers field errors; the zero value is ready to use.
type Invalid struct{ fields []FieldError }

// Add records a field at fault.
func (v *Invalid) Add(field, format string, args ...any) {
	v.fields = append(v.fields, FieldError{Field: field, Detail: fmt.Sprintf(format, args...)})
}

// Err returns nil when nothing was added, else a CodeInvalid Error naming every field.
func (v *Invalid) Err() error {
	if len(v.fields) == 0 {
		return nil
	}
	names := make([]string, len(v.fields))
	for i, f := range v.fields {
		names[i] = f.Field
	}
	return &Error{Code: CodeInvalid, Detail: "invalid " + strings.Join(names, ", "), Fields: v.fields}
}
