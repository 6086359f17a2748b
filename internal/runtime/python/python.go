// Package python embeds the program that speaks the agent protocol inside a Python instance.
package python

import (
	"embed"

	"nimbus/internal/runtime/parts"
)

//go:embed bootstrap/*.py
var files embed.FS

// Bootstrap returns the source of bootstrap.py, a module of the standard library only, for CPython 3.8 and
// later. Its doc string says how it is run.
func Bootstrap() []byte {
	return parts.Join(files, "bootstrap/intrinsics.py", "bootstrap/channel.py", "bootstrap/runtime.py", "bootstrap/result.py",
		"bootstrap/handler.py", "bootstrap/report.py", "bootstrap/process.py", "bootstrap/main.py")
}
