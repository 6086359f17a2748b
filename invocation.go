package nimbus

import (
	"slices"
	"time"
)

// Invocation is one event handed to one version of a function, and what came of it.
type Invocation struct {
	ID           ID
	Namespace    string
	FunctionID   ID
	FunctionName string
	Version      int64
	Attempt      int // from 1
	TriggerType  TriggerType
	Status       InvocationStatus
	Input        []byte // JSON, as far as the function's capture policy keeps it
	Output       []byte // JSON, likewise
	Error        string
	ErrorType    string
	ColdStart    bool
	InstanceID   string // vm_id outside
	CreatedAt    time.Time
	StartedAt    time.Time     // zero until a lease was had
	CompletedAt  time.Time     // zero while it runs
	Duration     time.Duration // Exec to Resp
	Billed       time.Duration
	Memory       MemoryUse
	CPU          time.Duration // of all the instance's processes during the call; 0 = unknown
	TraceID      string        // 32 hex digits of the W3C trace; "" = none
	LogCut       bool          // it printed more than is kept of one call
	Phases       Phases
}

// MemoryUse is the peak memory of a call, or of its instance where the kernel can't tell them apart.
type MemoryUse struct {
	Peak     int64 // bytes; 0 = unknown
	Instance bool  // the peak is the instance's since it started
}

// Phases is where the time of a call went. Only a cold start has Claim, Attach and Init. Run is the
// Invocation's Duration.
type Phases struct {
	Route  time.Duration // finding the version, when it was not in the route cache, or waiting for the first to be built
	Admit  time.Duration // waiting for a place among max_concurrency
	Hold   time.Duration // waiting for an instance, the cold start's own phases not counted
	Claim  time.Duration // getting a blank instance, started ahead or forked now
	Attach time.Duration // code and limits in place
	Init   time.Duration // the user's module imported
	Write  time.Duration // writing the answer to the caller; 0 where it is not known
}

// TriggerType is what turned something into an invocation.
type TriggerType string

// The trigger types.
const (
	TriggerHTTP TriggerType = "http"
)

// InvocationStatus is where an invocation is in its life.
type InvocationStatus string

// The statuses of an invocation.
const (
	InvocationPending   InvocationStatus = "pending"
	InvocationRunning   InvocationStatus = "running"
	InvocationSuccess   InvocationStatus = "success"
	InvocationFailed    InvocationStatus = "failed"
	InvocationTimeout   InvocationStatus = "timeout"
	InvocationCancelled InvocationStatus = "cancelled"
)

var invocationMoves = map[InvocationStatus][]InvocationStatus{
	InvocationPending: {InvocationRunning, InvocationFailed, InvocationTimeout, InvocationCancelled},
	InvocationRunning: {InvocationSuccess, InvocationFailed, InvocationTimeout, InvocationCancelled},
}

// InvocationStatuses lists every status.
func InvocationStatuses() []InvocationStatus {
	return []InvocationStatus{InvocationPending, InvocationRunning, InvocationSuccess,
		InvocationFailed, InvocationTimeout, InvocationCancelled}
}

// CanBecome reports whether the state machine has an arrow from s to next.
func (s InvocationStatus) CanBecome(next InvocationStatus) bool {
	return slices.Contains(invocationMoves[s], next)
}

// Ended reports whether the status is final.
func (s InvocationStatus) Ended() bool { return s != InvocationPending && s != InvocationRunning }

// The error types that the platform and its runtimes give to a call that user code did not end well.
const (
	ErrorTypeTimeout      = "Timeout"
	ErrorTypeOutOfMemory  = "OutOfMemory"
	ErrorTypeExited       = "Runtime.ExitError"
	ErrorTypeMarshal      = "Runtime.MarshalError"
	ErrorTypeUnmarshal    = "Runtime.UnmarshalError"
	ErrorTypeTooLarge     = "Function.ResponseSizeTooLarge"
	ErrorTypeTruncated    = "Runtime.TruncatedResponse"
	ErrorTypeNoHandler    = "Runtime.HandlerNotFound"
	ErrorTypeImport       = "Runtime.ImportModuleError"
	ErrorTypeSyntax       = "Runtime.UserCodeSyntaxError"
	ErrorTypeEntrypoint   = "Runtime.InvalidEntrypoint"
	ErrorTypeInit         = "Runtime.InitError"
	ErrorTypeInitTimeout  = "Runtime.InitTimeout"
	ErrorTypeProtocol     = "Runtime.ProtocolError"
	ErrorTypeNeverSettled = "Runtime.NeverSettled"
	ErrorTypeRejection    = "Runtime.UnhandledPromiseRejection"
	ErrorTypeUnknown      = "Runtime.Unknown" // a runtime reported a failure and did not say of what type
	ErrorTypeWasmModule   = "Wasm.InvalidModule"
	ErrorTypeWasmTrap     = "Wasm.Trap"
	ErrorTypeWasmAbort    = "Wasm.Abort"
	ErrorTypeWasmPointer  = "Wasm.InvalidPointer"
	ErrorTypeWasmElse     = "Wasm.Error"
	ErrorTypePlatform     = "Platform.Error" // the platform failed, not user code
)

// ErrorTypes lists them; every other is an exception's name, or one that a bootstrap has made up.
func ErrorTypes() []string {
	return []string{ErrorTypeTimeout, ErrorTypeOutOfMemory, ErrorTypeExited, ErrorTypeMarshal, ErrorTypeUnmarshal, ErrorTypeTooLarge,
		ErrorTypeTruncated, ErrorTypeNoHandler, ErrorTypeImport, ErrorTypeSyntax, ErrorTypeEntrypoint, ErrorTypeInit, ErrorTypeInitTimeout,
		ErrorTypeProtocol, ErrorTypeNeverSettled, ErrorTypeRejection, ErrorTypeUnknown, ErrorTypeWasmModule, ErrorTypeWasmTrap,
		ErrorTypeWasmAbort, ErrorTypeWasmPointer, ErrorTypeWasmElse, ErrorTypePlatform}
}
