package nimbus

import "time"

// Sizes in bytes.
const (
	KiB int64 = 1 << 10
	MiB int64 = 1 << 20
	GiB int64 = 1 << 30
)

// Limits bound what users may ask for. Configuration can change every one of them.
type Limits struct {
	InlineCode  int64 // bytes of code given as text
	Archive     int64 // bytes of an uploaded zip
	Unpacked    int64 // bytes of an archive's files together
	ArchiveFile int   // entries in an archive
	MemoryMin   int64
	MemoryMax   int64
	Memory      int64 // when a function says nothing
	TimeoutMin  time.Duration
	TimeoutMax  time.Duration
	Timeout     time.Duration // when a function says nothing
	Event       int64
	Response    int64
	Stream      int64 // bytes of a streamed response
	Env         int64 // bytes of all names and values
	TmpMax      int64
	Tmp         int64
	CPUMax      int // thousandths of a core
	PIDs        int // processes and threads of one instance
	InitTimeout time.Duration
	LogLine     int64 // bytes kept of one log line
	LogCall     int64 // bytes of log kept of one invocation
	Captured    int64 // bytes kept of an input or an output in a record
}

// DefaultLimits are the bounds of an installation that sets none.
func DefaultLimits() Limits {
	return Limits{
		InlineCode: 512 * KiB, Archive: 50 * MiB, Unpacked: 250 * MiB, ArchiveFile: 20_000,
		MemoryMin: 128 * MiB, MemoryMax: 10240 * MiB, Memory: 256 * MiB,
		TimeoutMin: time.Second, TimeoutMax: 900 * time.Second, Timeout: 30 * time.Second,
		Event: 6 * MiB, Response: 6 * MiB, Stream: 200 * MiB, Env: 32 * KiB,
		TmpMax: 10240 * MiB, Tmp: 512 * MiB, CPUMax: 64_000, PIDs: 256,
		InitTimeout: 10 * time.Second,
		LogLine:     64 * KiB, LogCall: 1 * MiB, Captured: 64 * KiB,
	}
}
