// Package node embeds the program that speaks the agent protocol inside a Node instance.
package node

import (
	"bytes"
	"embed"
	"fmt"
)

//go:embed bootstrap/*.cjs
var files embed.FS

// Bootstrap returns the source of bootstrap.cjs, which needs nothing but Node 18 or later. Its first comment
// says how it is run.
func Bootstrap() []byte {
	var source bytes.Buffer
	for _, part := range []string{"intrinsics", "channel", "runtime", "handler", "result", "report", "log", "main"} {
		content, err := files.ReadFile("bootstrap/" + part + ".cjs")
		if err != nil {
			panic(fmt.Sprintf("part of the bootstrap: %v", err)) // a part was renamed and the list was not
		}
		source.Write(content)
		source.WriteByte('\n')
	}
	return source.Bytes()
}

// Flags returns Node's options for an instance. One thread less for each processor: V8's helpers gain nothing
// where a function has a processor or less, and each costs memory.
func Flags() []string { return []string{"--v8-pool-size=0"} }
