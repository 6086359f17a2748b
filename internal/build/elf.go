package build

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io/fs"
	"strings"
)

const (
	elfMagic       = "\x7fELF"
	elfHeader      = 64 // bytes of the file header, 64-bit
	programHeader  = 56 // and of a program header
	elfDynamic     = "is dynamically linked and needs %s, which %s: link it statically (Go: CGO_ENABLED=0)"
	maxInterpreter = 256
)

// wrongELF returns why an ELF file (System V gABI, chapters 4 and 5) that begins so can't be started here, ""
// when it can. It reads the few fields that tell, because what it reads is a stranger's.
func wrongELF(tree fs.FS, head []byte) string {
	if len(head) < elfHeader {
		return "is damaged: its ELF header is cut short"
	}
	class, data, abi := elf.Class(head[elf.EI_CLASS]), elf.Data(head[elf.EI_DATA]), elf.OSABI(head[elf.EI_OSABI])
	var order binary.ByteOrder = binary.LittleEndian
	if data == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	kind, arch := elf.Type(order.Uint16(head[16:])), elf.Machine(order.Uint16(head[18:]))
	switch {
	case abi != elf.ELFOSABI_NONE && abi != elf.ELFOSABI_LINUX:
		return fmt.Sprintf("is built for %s, not for Linux", strings.TrimPrefix(abi.String(), "ELFOSABI_"))
	case goArch(arch, data) != machine() || class != elf.ELFCLASS64:
		return fmt.Sprintf("is built for %s, this machine is %s", goArch(arch, data), machine())
	case kind == elf.ET_REL:
		return "is an object file, not a linked program"
	case kind != elf.ET_EXEC && kind != elf.ET_DYN:
		return "is no executable but another kind of ELF file"
	}
	interpreter, damaged := elfInterpreter(head)
	switch {
	case damaged:
		return "is damaged: its ELF program headers can't be read"
	case kind == elf.ET_DYN && interpreter == "" && binary.LittleEndian.Uint64(head[24:]) == 0:
		return "is a shared library, not a program"
	case interpreter != "":
		if why := absentInside(tree, interpreter); why != "" {
			return fmt.Sprintf(elfDynamic, interpreter, why)
		}
	}
	return ""
}

// elfInterpreter returns the loader that a dynamic program asks for, "" when it needs none.
func elfInterpreter(head []byte) (path string, damaged bool) {
	at := binary.LittleEndian.Uint64(head[32:])
	size, count := binary.LittleEndian.Uint16(head[54:]), binary.LittleEndian.Uint16(head[56:])
	if count == 0 || size != programHeader || at > uint64(len(head)) || uint64(count)*programHeader > uint64(len(head))-at {
		return "", true
	}
	for i := range int(count) {
		p := head[at+uint64(i)*programHeader:]
		if elf.ProgType(binary.LittleEndian.Uint32(p)) != elf.PT_INTERP {
			continue
		}
		offset, length := binary.LittleEndian.Uint64(p[8:]), binary.LittleEndian.Uint64(p[32:])
		if offset > uint64(len(head)) || length > maxInterpreter || length > uint64(len(head))-offset {
			return "", true
		}
		text, _, _ := bytes.Cut(head[offset:offset+length], []byte{0})
		return string(text), false
	}
	return "", false
}

// goArch says an architecture in Go's words, or ELF's where Go has none.
func goArch(m elf.Machine, data elf.Data) string {
	names := map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_386: "386", elf.EM_ARM: "arm",
		elf.EM_RISCV: "riscv64", elf.EM_S390: "s390x", elf.EM_PPC64: "ppc64", elf.EM_LOONGARCH: "loong64", elf.EM_MIPS: "mips"}
	name, known := names[m]
	switch {
	case !known && strings.Contains(m.String(), "+"):
		return fmt.Sprintf("machine %d", uint16(m))
	case !known:
		return strings.ToLower(strings.TrimPrefix(m.String(), "EM_"))
	case m == elf.EM_PPC64 && data == elf.ELFDATA2LSB:
		return "ppc64le"
	}
	return name
}
