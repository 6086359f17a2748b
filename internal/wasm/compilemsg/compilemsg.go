// Package compilemsg is what is said to an instance that compiles WebAssembly ahead: the event of a call of
// `nimbus-wasm compile`, and how it answers.
//
// Such an instance is initialised like any other, its code being a directory that holds the module. The call must
// ask for a stream: its Chunks (wire.KindBytes) are a tar of what belongs into CacheDir of the package that runs. A
// failure is an outcome that is not OK, of type Failed when the module is to blame: it is malformed, keeps no
// contract, or imports what isn't there.
package compilemsg

// Failed is the type of an outcome where the module can't be used; the message says why.
const Failed = "BuildFailed"

// CacheDir is where, in a package, the worker looks for compiled code. It must never be taken from what a user has
// uploaded: it is machine code.
const CacheDir = ".nimbus/wasm-cache"

// Toolchain is what compiles. Compiled code is of use to the same version, on the same kind of processor.
const Toolchain = "wazero v1.12.0"

// Request is one compilation, as JSON.
type Request struct {
	Module string `json:"module"` // path below the code directory
}
