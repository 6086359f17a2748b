// Package wire is the agent protocol: length-prefixed frames between the platform and the runtime inside an
// instance (shared document SURFACE, part 4). Big-endian:
//
//	u32 length | u8 type | u64 invocation | payload
//
// length counts what follows it and is at most MaxFrame. Exec, Resp, Chunk and Log carry
// u32 meta length | meta JSON | raw bytes; every other payload is JSON. Invocation numbers only grow: a
// late frame of a finished invocation is dropped, a number never issued is a protocol error and the
// instance must be killed. Init is answered by a Resp with invocation 0.
//
// The package imports the standard library only; nimbus-agent is built on it.
package wire

import "errors"

// ErrProtocol says that the other side broke the protocol; the connection is of no more use.
var ErrProtocol = errors.New("the agent protocol was broken")

// Version is the protocol version a Hello carries.
const Version = 1

// Type is the kind of a frame.
type Type uint8

// The frame types. 11 (Code) and 12 (Call) are reserved for remote transports and calls out of a function.
const (
	Hello  Type = 0  // both sides, first
	Init   Type = 1  // platform → runtime: become this function
	Exec   Type = 2  // platform → runtime: one event
	Resp   Type = 3  // runtime → platform: the outcome
	Ping   Type = 4  // platform → runtime
	Pong   Type = 5  // runtime → platform
	Log    Type = 6  // runtime → platform: what a call prints, where several run at once
	Chunk  Type = 7  // runtime → platform: one item of a streamed result
	Cancel Type = 8  // platform → runtime: stop streaming
	Stop   Type = 9  // platform → runtime: end
	Window Type = 10 // platform → runtime: credit for Chunk, in bytes
)

// MaxFrame bounds length: 16 MiB of payload and the 9 bytes of type and invocation.
const MaxFrame = 16<<20 + 9

// InitialWindow is the credit for Chunk payload bytes that an Exec grants.
const InitialWindow = 1 << 20

// HelloMsg opens a connection.
type HelloMsg struct {
	Version  int      `json:"version"`
	Features []string `json:"features,omitempty"`
	Runtime  string   `json:"runtime,omitempty"` // from the runtime: python3.11
}

// InitMsg turns a blank instance into one of a function.
type InitMsg struct {
	Handler         string            `json:"handler"`
	CodeDir         string            `json:"code_dir"` // /var/function
	Env             map[string]string `json:"env,omitempty"`
	FunctionName    string            `json:"function_name"`
	FunctionID      string            `json:"function_id"`
	FunctionVersion string            `json:"function_version"`
	Namespace       string            `json:"namespace"`
	MemoryMB        int64             `json:"memory_mb"`
	MaxResponse     int64             `json:"max_response"` // bytes of a result that isn't streamed
	MaxStream       int64             `json:"max_stream"`
	Concurrency     int               `json:"concurrency,omitempty"` // Execs at once; 0 = 1
}

// ExecMeta goes with an event.
type ExecMeta struct {
	RequestID  string `json:"request_id"`
	DeadlineMS int64  `json:"deadline_ms"` // Unix milliseconds
	TraceID    string `json:"trace_id,omitempty"`
	// Traceparent is the W3C trace context of the span the handler runs in.
	Traceparent string `json:"traceparent,omitempty"`
	Stream      bool   `json:"stream,omitempty"` // a generator's items are wanted as Chunks; else they become one array
}

// RespMeta goes with a result. A streamed one ends with a Resp that has Streamed set and no raw bytes.
type RespMeta struct {
	OK       bool     `json:"ok"`
	Type     string   `json:"type,omitempty"`    // the exception's type, when not OK
	Message  string   `json:"message,omitempty"` // and its message
	Stack    []string `json:"stack,omitempty"`
	Streamed bool     `json:"streamed,omitempty"`
	Ending   bool     `json:"ending,omitempty"` // the runtime ends by itself after this answer and takes no other call
	// OverMemory says that the function was refused the memory it needed and said so, without the kernel's doing.
	OverMemory bool `json:"over_memory,omitempty"`
	// Unrun says, where calls run at once, that another ended the runtime before this one was begun: it may be run
	// elsewhere.
	Unrun bool `json:"unrun,omitempty"`
}

// ChunkMeta goes with an item of a streamed result: raw bytes as they are to be written (Kind "bytes" or
// "text"), or a JSON value (Kind "json").
type ChunkMeta struct {
	Kind string `json:"kind"`
}

// LogMeta goes with what a call prints, as it comes.
type LogMeta struct {
	Stream string `json:"stream"` // StreamStdout or StreamStderr
}

// The streams of a Log.
const (
	StreamStdout = "stdout"
	StreamStderr = "stderr"
)

// WindowMsg grants credit.
type WindowMsg struct {
	Bytes int64 `json:"bytes"`
}
