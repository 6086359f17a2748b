// Package buildmsg is what is said to an instance that compiles: the event of a call of `nimbus-agent build`,
// and how it answers.
//
// Such an instance is initialised like any other, its code being a directory prepared for this one build. The
// call must ask for a stream: its Chunks (wire.KindBytes) are the compiled file, or for Seed a tar. A failure
// is an outcome that is not OK, of type Failed when the user's source is to blame; the message is what the
// compiler said, with paths as the user knows them. Meanwhile the toolchain's progress goes to stderr.
package buildmsg

// Failed is the type of an outcome where the source does not compile: its message is the compiler's.
const Failed = "BuildFailed"

// Request is one build, as JSON. Paths that are not absolute are below the instance's code directory.
type Request struct {
	Go string `json:"go"` // the go command

	// What is built: a main package.
	Dir       string `json:"dir,omitempty"`     // where go build runs: the module's directory, or that of files without one
	Package   string `json:"package,omitempty"` // "." unless given
	GOOS      string `json:"goos"`              // linux, wasip1
	GOARCH    string `json:"goarch"`
	LDFlags   string `json:"ldflags,omitempty"`   // "-s -w" unless given
	Tags      string `json:"tags,omitempty"`      // separated by commas
	BuildMode string `json:"buildmode,omitempty"` // c-shared makes a wasip1 reactor

	// Where what it needs is; nothing is fetched.
	Mod      string `json:"mod,omitempty"`      // -mod: vendor, readonly, mod; "" = as the toolchain decides
	ModCache string `json:"modcache,omitempty"` // GOMODCACHE, laid out as the toolchain has it
	Cache    string `json:"cache,omitempty"`    // a build cache that a Seed made, read only

	// Seed asks for something else: to compile these packages of the standard library, and answer with a tar of
	// the build cache that this makes. Cache may then be an older one, which is not part of the answer.
	Seed []string `json:"seed,omitempty"`
}
