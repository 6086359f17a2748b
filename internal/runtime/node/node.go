// Package node embeds the program that speaks the agent protocol inside a Node instance.
package node

import (
	"embed"

	"nimbus/internal/runtime/parts"
)

//go:embed bootstrap/*.cjs
var files embed.FS

// Bootstrap returns the source of bootstrap.cjs, which needs nothing but Node 18 or later. Its first comment
// says how it is run.
func Bootstrap() []byte {
	return parts.Join(files, "bootstrap/intrinsics.cjs", "bootstrap/channel.cjs", "bootstrap/runtime.cjs", "bootstrap/handler.cjs",
		"bootstrap/result.cjs", "bootstrap/report.cjs", "bootstrap/log.cjs", "bootstrap/main.cjs")
}

// Flags returns Node's options for an instance. One thread less for each processor: V8's helpers gain nothing
// where a function has a processor or less, and each costs memory.
func Flags() []string { return []string{"--v8-pool-size=0"} }
