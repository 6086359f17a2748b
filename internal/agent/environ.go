//go:build linux

package agent

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"

	"nimbus/internal/wire"
)

// contextPath is wire.ContextFile of a program on stdin: the descriptor behind stderr, which every process has as a
// file of its own.
const contextPath = "/proc/self/fd/3"

// environment is all of a program's: the user's settings win over the defaults, the platform's over both. The names
// are those AWS documents for runtimes that bring only an operating system, and our own.
func environment(init *wire.InitMsg, api string) []string {
	env := map[string]string{
		"PATH":            "/usr/local/bin:/usr/bin:/bin:" + init.CodeDir + "/bin",
		"HOME":            "/tmp",
		"TMPDIR":          "/tmp",
		"LANG":            "C.UTF-8",
		"TZ":              ":UTC",
		"LD_LIBRARY_PATH": init.CodeDir + ":" + init.CodeDir + "/lib",
	}
	maps.Copy(env, init.Env)
	memory := strconv.FormatInt(init.MemoryMB, 10)
	maps.Copy(env, map[string]string{
		"AWS_LAMBDA_RUNTIME_API":          api,
		"AWS_LAMBDA_FUNCTION_NAME":        init.FunctionName,
		"AWS_LAMBDA_FUNCTION_VERSION":     init.FunctionVersion,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": memory,
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/nimbus/" + init.Namespace + "/" + init.FunctionName,
		"AWS_LAMBDA_LOG_STREAM_NAME":      "[" + init.FunctionVersion + "]" + logStream(),
		"LAMBDA_TASK_ROOT":                init.CodeDir,
		"LAMBDA_RUNTIME_DIR":              init.CodeDir,
		"_HANDLER":                        init.Handler,
		"NIMBUS_FUNCTION_ID":              init.FunctionID,
		"NIMBUS_FUNCTION_NAME":            init.FunctionName,
		"NIMBUS_FUNCTION_VERSION":         init.FunctionVersion,
		"NIMBUS_FUNCTION_MEMORY_SIZE":     memory,
		"NIMBUS_NAMESPACE":                init.Namespace,
		"NIMBUS_HANDLER":                  init.Handler,
		"NIMBUS_CODE_DIR":                 init.CodeDir,
	})
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

func logStream() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
