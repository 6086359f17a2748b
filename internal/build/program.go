package build

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	goruntime "runtime"
	"strings"

	"nimbus"
)

// maxHead bounds how much of a program is looked at: more than any has before the end of its program headers.
const maxHead = 64 << 10

// machine is the architecture of this machine, in Go's words.
func machine() string { return goruntime.GOARCH }

// checkProgram refuses, on the field "code" and in words, what the kernel could not start: an executable for
// another machine or system, one whose loader or interpreter is not there, a script without its first line.
func checkProgram(tree fs.FS, name string) error {
	head, err := readHead(tree, name, maxHead)
	if err != nil {
		return fmt.Errorf("look at %s: %w", name, err)
	}
	why := cannotStart(tree, head)
	if why == "" {
		return checkMode(tree, name)
	}
	var v nimbus.Invalid
	v.Add("code", "%s %s", name, why)
	return v.Err()
}

// checkMode refuses what is not marked as executable. At the top of a package that is set right, see markPrograms.
func checkMode(tree fs.FS, name string) error {
	st, err := fs.Stat(tree, name)
	if err != nil {
		return fmt.Errorf("look at %s: %w", name, err)
	}
	if st.Mode()&0o111 != 0 || !strings.Contains(name, "/") {
		return nil
	}
	var v nimbus.Invalid
	v.Add("code", "%s is not executable: set its mode with chmod +x before packing it", name)
	return v.Err()
}

// cannotStart returns why a program that begins so can't be started, "" when it can.
func cannotStart(tree fs.FS, head []byte) string {
	switch {
	case len(head) == 0:
		return "is empty"
	case bytes.HasPrefix(head, []byte(elfMagic)):
		return wrongELF(tree, head)
	case bytes.HasPrefix(head, []byte("#!")):
		return wrongScript(tree, head)
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf#!")):
		return "begins with a byte order mark, before its #!: save it without"
	case bytes.HasPrefix(head, []byte("MZ")):
		return "is a program for Windows, not for Linux"
	case isMachO(head):
		return "is a program for macOS, not for Linux: build it with GOOS=linux GOARCH=" + machine()
	case bytes.HasPrefix(head, []byte(wasmMagic)):
		return "is WebAssembly: deploy it with the runtime wasm"
	}
	return "is no executable: neither ELF nor a script that begins with #!"
}

func isMachO(head []byte) bool {
	for _, magic := range []string{"\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe", "\xca\xfe\xba\xbe"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}

// readHead returns the first bytes of a file, at most n.
func readHead(tree fs.FS, name string, n int) ([]byte, error) {
	f, err := tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, n)
	read, err := io.ReadFull(f, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:read], err
}
