// Package python embeds the program that speaks the agent protocol inside a Python instance.
package python

import (
	"bytes"
	"embed"
	"fmt"
)

//go:embed bootstrap/*.py
var files embed.FS

// Bootstrap returns the source of bootstrap.py, a module of the standard library only, for CPython 3.8 and
// later. Its doc string says how it is run.
func Bootstrap() []byte {
	var source bytes.Buffer
	for i, part := range []string{"intrinsics", "channel", "runtime", "result", "handler", "report", "process", "main"} {
		content, err := files.ReadFile("bootstrap/" + part + ".py")
		if err != nil {
			panic(fmt.Sprintf("part of the bootstrap: %v", err)) // a part was renamed and the list was not
		}
		if i > 0 {
			source.WriteString("\n\n")
		}
		source.Write(content)
	}
	return source.Bytes()
}
