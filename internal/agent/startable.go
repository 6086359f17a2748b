//go:build linux

package agent

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"nimbus/internal/wire"
)

// notStarted says in words why a program could not be executed.
func notStarted(path, codeDir string, err error) wire.RespMeta {
	name := path
	if rel, relErr := filepath.Rel(codeDir, path); relErr == nil {
		name = rel
	}
	return wire.RespMeta{Type: typeStart, Message: name + " can't be started: " + whyNot(path, codeDir, err)}
}

func whyNot(path, codeDir string, err error) string {
	info, statErr := os.Stat(path)
	switch {
	case errors.Is(statErr, fs.ErrNotExist):
		return "it is not there; the code has " + listing(codeDir)
	case statErr != nil:
		return statErr.Error()
	case info.IsDir():
		return "it is a directory"
	case info.Mode().Perm()&0o111 == 0:
		return "it is not executable (chmod +x)"
	}
	head := make([]byte, 256)
	f, openErr := os.Open(path)
	if openErr != nil {
		return openErr.Error()
	}
	defer f.Close()
	n, _ := f.Read(head) // what can't be read is neither ELF nor script
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		return whyNotELF(f, head, err)
	case bytes.HasPrefix(head, []byte("#!")):
		line, _, _ := strings.Cut(string(head[2:]), "\n")
		if strings.HasSuffix(line, "\r") {
			return "its first line ends with a carriage return; save it with Unix line ends"
		}
		interpreter, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if errors.Is(err, syscall.ENOENT) {
			return "its first line asks for " + interpreter + ", which is not here"
		}
	case errors.Is(err, syscall.ENOEXEC):
		return "it is neither a Linux program (ELF) nor a script that begins with #!"
	}
	return err.Error()
}

func whyNotELF(f *os.File, head []byte, err error) string {
	const machineAt = 18
	if len(head) >= machineAt+2 {
		built := elf.Machine(binary.LittleEndian.Uint16(head[machineAt:]))
		if here := machine(); built != here {
			return fmt.Sprintf("it is built for another architecture, %s; this machine is %s", architecture(built), architecture(here))
		}
	}
	file, elfErr := elf.NewFile(f)
	if elfErr != nil {
		return "it is a damaged ELF file: " + elfErr.Error()
	}
	if file.Type != elf.ET_EXEC && file.Type != elf.ET_DYN {
		return "it is an ELF file, but not a program (" + file.Type.String() + ")"
	}
	for _, segment := range file.Progs {
		if segment.Type != elf.PT_INTERP || !errors.Is(err, syscall.ENOENT) || segment.Filesz > 4096 {
			continue
		}
		name := make([]byte, segment.Filesz)
		if _, readErr := segment.ReadAt(name, 0); readErr == nil {
			return "it needs the loader " + string(bytes.TrimRight(name, "\x00")) + ", which is not here; build it static"
		}
	}
	return err.Error()
}

func machine() elf.Machine {
	if runtime.GOARCH == "arm64" {
		return elf.EM_AARCH64
	}
	return elf.EM_X86_64
}

// architecture is a machine's name as people know it.
func architecture(m elf.Machine) string {
	switch m {
	case elf.EM_X86_64:
		return "x86-64"
	case elf.EM_AARCH64:
		return "arm64"
	case elf.EM_386:
		return "32-bit x86"
	case elf.EM_ARM:
		return "32-bit arm"
	}
	return strings.ToLower(strings.TrimPrefix(m.String(), "EM_"))
}

// listing names what is in a directory.
func listing(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return "nothing"
	}
	var names []string
	for _, e := range entries[:min(len(entries), 20)] {
		names = append(names, e.Name())
	}
	return strings.Join(names, ", ")
}
