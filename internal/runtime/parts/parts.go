// Package parts puts a program together that is written in several files and travels as one.
package parts

import (
	"bytes"
	"fmt"
	"io/fs"
)

// Join returns the files one after the other, an empty line between them. It panics when one is missing: they are
// embedded, and their names are in the code.
func Join(from fs.ReadFileFS, names ...string) []byte {
	var whole bytes.Buffer
	for i, name := range names {
		part, err := from.ReadFile(name)
		if err != nil {
			panic(fmt.Sprintf("part of a program: %v", err))
		}
		if i > 0 {
			whole.WriteByte('\n')
		}
		whole.Write(part)
	}
	return whole.Bytes()
}
