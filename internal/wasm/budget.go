package wasm

const (
	// workerMemory is what the worker itself takes, in bytes, and codeGrowth how many bytes of machine code and
	// tables one byte of a module becomes.
	workerMemory = 20 << 20
	codeGrowth   = 6
)

// share returns how much of an instance's memory the module's own may become. The rest is the worker's, and that of
// what is written to /tmp; but the module has a quarter whatever its size: that the whole stays within its bound is
// seen to from outside.
func share(memory int64, moduleSize int) int64 {
	return max(memory-workerMemory-codeGrowth*int64(moduleSize), memory/4)
}
