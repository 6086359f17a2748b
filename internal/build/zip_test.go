package build

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"nimbus"
)

// member is one entry of a test's zip; the zero mode is a plain file.
type member struct {
	name string
	mode fs.FileMode
	body string
}

func makeZip(t testing.TB, members ...member) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name}
		if len(m.body) > 64 {
			h.Method = zip.Deflate
		}
		if m.mode != 0 {
			h.SetMode(m.mode)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, m.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// rawZip writes one deflated entry whose header says what it is told to.
func rawZip(t testing.TB, h *zip.FileHeader, body []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	d, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if h.Method == 0 {
		h.Method = zip.Deflate
	}
	h.CompressedSize64 = uint64(packed.Len())
	h.CRC32 = crc32.ChecksumIEEE(body)
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	f, err := w.CreateRaw(h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(packed.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func hostileLimits() nimbus.Limits {
	l := nimbus.DefaultLimits()
	l.Archive, l.Unpacked, l.ArchiveFile = nimbus.MiB, 64*nimbus.KiB, 50
	return l
}

func TestRefusesHostileArchives(t *testing.T) {
	t.Parallel()
	ok := member{name: "handler.py", body: "def handle(event): pass"}
	long := strings.Repeat("x", 256)
	entries := make([]member, 51)
	for i := range entries {
		entries[i] = member{name: fmt.Sprintf("f%d.py", i)}
	}
	deep := make([]member, 5)
	for i := range deep {
		deep[i] = member{name: fmt.Sprintf("%d/", i) + strings.Repeat("d/", 12) + "f"}
	}
	whole := makeZip(t, ok)
	for name, c := range map[string]struct {
		zip  []byte
		want string
	}{
		"absolute path":               {makeZip(t, ok, member{name: "/etc/passwd"}), "absolute"},
		"parent path":                 {makeZip(t, ok, member{name: "../evil.py"}), "leaves the package"},
		"parent path inside":          {makeZip(t, ok, member{name: "a/../../evil.py"}), "leaves the package"},
		"parent path that stays":      {makeZip(t, ok, member{name: "a/../b.py"}), "leaves the package"},
		"backslash":                   {makeZip(t, ok, member{name: `..\evil.py`}), "backslash"},
		"NUL":                         {makeZip(t, ok, member{name: "a\x00b"}), "control characters"},
		"newline":                     {makeZip(t, ok, member{name: "a\nb"}), "control characters"},
		"not UTF-8":                   {makeZip(t, ok, member{name: "a\xff"}), "not UTF-8"},
		"empty name":                  {makeZip(t, ok, member{name: ""}), "no name"},
		"empty element":               {makeZip(t, ok, member{name: "a//b"}), "empty element"},
		"dot as a file":               {makeZip(t, ok, member{name: "."}), "no name"},
		"long element":                {makeZip(t, ok, member{name: long}), "255 bytes"},
		"long name":                   {makeZip(t, ok, member{name: strings.Repeat("d/", 600) + "f"}), "1024 bytes"},
		"file twice":                  {makeZip(t, ok, ok), "twice"},
		"file then directory":         {makeZip(t, ok, member{name: "a"}, member{name: "a/"}), "both a file and a directory"},
		"directory then file":         {makeZip(t, ok, member{name: "a/"}, member{name: "a"}), "both a file and a directory"},
		"file then file below":        {makeZip(t, ok, member{name: "a"}, member{name: "a/b"}), "both a file and a directory"},
		"file below then file":        {makeZip(t, ok, member{name: "a/b"}, member{name: "a"}), "both a file and a directory"},
		"file below a link":           {makeZip(t, ok, member{"l", fs.ModeSymlink | 0o777, "."}, member{name: "l/b"}), "both a file and a directory"},
		"link and file":               {makeZip(t, ok, member{"l", fs.ModeSymlink | 0o777, "a"}, member{name: "l"}), "twice"},
		"absolute link":               {makeZip(t, ok, member{"l", fs.ModeSymlink | 0o777, "/etc/passwd"}), "leaves the package"},
		"link that leaves":            {makeZip(t, ok, member{"l", fs.ModeSymlink | 0o777, "../x"}), "leaves the package"},
		"link that leaves from below": {makeZip(t, ok, member{"a/l", fs.ModeSymlink | 0o777, "../../x"}), "leaves the package"},
		"links that leave together": {makeZip(t, ok,
			member{"a/up", fs.ModeSymlink | 0o777, ".."}, member{"l", fs.ModeSymlink | 0o777, "a/up/../x"}), "leaves the package"},
		"loop of links": {makeZip(t, ok,
			member{"a", fs.ModeSymlink | 0o777, "b"}, member{"b", fs.ModeSymlink | 0o777, "a"}), "loop of links"},
		"link without a target":    {makeZip(t, ok, member{"l", fs.ModeSymlink | 0o777, ""}), "must have a target"},
		"link with a long target":  {makeZip(t, ok, member{"l", fs.ModeSymlink | 0o777, strings.Repeat("a/", 600)}), "must have a target"},
		"link with a NUL":          {makeZip(t, ok, member{"l", fs.ModeSymlink | 0o777, "a\x00"}), "no path"},
		"character device":         {makeZip(t, ok, member{name: "d", mode: fs.ModeDevice | fs.ModeCharDevice | 0o666}), "neither file"},
		"block device":             {makeZip(t, ok, member{name: "d", mode: fs.ModeDevice | 0o666}), "neither file"},
		"fifo":                     {makeZip(t, ok, member{name: "p", mode: fs.ModeNamedPipe | 0o666}), "neither file"},
		"socket":                   {makeZip(t, ok, member{name: "s", mode: fs.ModeSocket | 0o666}), "neither file"},
		"encrypted":                {rawZip(t, &zip.FileHeader{Name: "a.py", Flags: 1, UncompressedSize64: 1}, []byte("x")), "encrypted"},
		"unknown method":           {rawZip(t, &zip.FileHeader{Name: "a.py", Method: 12, UncompressedSize64: 1}, []byte("x")), "method 12"},
		"too many entries":         {makeZip(t, entries...), "more than 50"},
		"too many directories":     {makeZip(t, append(deep, ok)...), "more than 50"},
		"over the unpacked bound":  {makeZip(t, ok, member{name: "big", body: strings.Repeat("x", 65<<10)}), "65536 bytes together"},
		"over it together":         {makeZip(t, member{name: "a", body: strings.Repeat("x", 40<<10)}, member{name: "b", body: strings.Repeat("x", 40<<10)}), "65536 bytes together"},
		"claims a size that wraps": {rawZip(t, &zip.FileHeader{Name: "a.py", UncompressedSize64: 1<<64 - 1}, []byte("x")), "65536 bytes together"},
		"bomb that claims little":  {rawZip(t, &zip.FileHeader{Name: "a.py", UncompressedSize64: 10}, make([]byte, 10<<20)), "damaged"},
		"claims more than there":   {rawZip(t, &zip.FileHeader{Name: "a.py", UncompressedSize64: 1000}, []byte("x")), "damaged"},
		"wrong checksum":           {flip(t, makeZip(t, member{name: "a.py", body: "print(1, 2, 3)"}), 45), "damaged"},
		"no zip":                   {[]byte("#!/usr/bin/python3\n"), "no zip archive"},
		"a tar":                    {append([]byte("handler.py"), make([]byte, 2048)...), "no zip archive"},
		"nothing":                  {nil, "no zip archive"},
		"cut short":                {whole[:len(whole)-30], "no zip archive"},
		"an empty zip":             {makeZip(t), "no files"},
		"only directories":         {makeZip(t, member{name: "a/"}), "no files"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, hostileLimits())
			_, err := b.Build(t.Context(), Source{Archive: bytes.NewReader(c.zip)}, accept)
			if nimbus.CodeOf(err) != nimbus.CodeInvalid {
				t.Fatalf("error = %v, want code invalid", err)
			}
			if fields := err.(*nimbus.Error).Fields; len(fields) != 1 || fields[0].Field != "code" || !strings.Contains(fields[0].Detail, c.want) {
				t.Errorf("fields = %v, want code: …%s…", fields, c.want)
			}
			b.wantNothingLeft(t)
		})
	}
}

func TestArchiveOverItsBound(t *testing.T) {
	t.Parallel()
	b := newBench(t, hostileLimits())
	_, err := b.Build(t.Context(), Source{Archive: bytes.NewReader(make([]byte, nimbus.MiB+1))}, accept)
	if nimbus.CodeOf(err) != nimbus.CodeTooLarge {
		t.Errorf("error = %v, want code too_large", err)
	}
	b.wantNothingLeft(t)
}

// The directory of a zip may claim few entries and hold many; reading it must not take memory for them all.
func TestDirectoryBomb(t *testing.T) {
	t.Parallel()
	members := make([]member, 40_000)
	for i := range members {
		members[i] = member{name: fmt.Sprintf("%06d", i)}
	}
	archive := makeZip(t, members...)
	limits := hostileLimits()
	limits.Archive = 100 * nimbus.MiB
	b := newBench(t, limits)
	_, err := b.Build(t.Context(), Source{Archive: bytes.NewReader(archive)}, accept)
	if nimbus.CodeOf(err) != nimbus.CodeInvalid || !strings.Contains(err.Error(), "more than 50 entries") {
		t.Errorf("error = %v", err)
	}
	reader := &directoryReader{r: bytes.NewReader(archive), left: int64(limits.ArchiveFile)*maxRecord + nimbus.MiB}
	if _, err := zip.NewReader(reader, int64(len(archive))); err == nil {
		t.Error("the whole directory was read")
	}
}

// Links that point through each other cost steps; a small archive must not cost minutes.
func TestTangledLinks(t *testing.T) {
	t.Parallel()
	limits := nimbus.DefaultLimits()
	members := []member{{name: "d/f", body: "x"}}
	for i := range 1000 {
		target := strings.Repeat("d/../", 190) + fmt.Sprintf("l%d", i-1)
		if i%40 == 0 {
			target = "d"
		}
		members = append(members, member{fmt.Sprintf("l%d", i), fs.ModeSymlink | 0o777, target})
	}
	archive := makeZip(t, members...)
	_, err := readZip(bytes.NewReader(archive), int64(len(archive)), limits)
	if err == nil || !strings.Contains(err.Error(), errTangled.Error()) {
		t.Errorf("error = %v, want %v", err, errTangled)
	}
}

func TestReadsOrdinaryArchives(t *testing.T) {
	t.Parallel()
	archive := makeZip(t,
		member{name: "./handler.py", body: "def handle(event): pass"},
		member{name: "bin/tool", mode: 0o755, body: "#!/bin/sh\n"},
		member{name: "bin/root", mode: fs.ModeSetuid | fs.ModeSetgid | 0o4755, body: "x"},
		member{name: "lib/"}, member{name: "lib/"},
		member{name: "lib/data.txt", mode: 0o600, body: "data"},
		member{name: "Lib/data.txt", body: "of another case"},
		member{name: "current", mode: fs.ModeSymlink | 0o777, body: "lib"},
		member{name: "lib/up.py", mode: fs.ModeSymlink | 0o777, body: "../handler.py"},
		member{name: "dangling", mode: fs.ModeSymlink | 0o777, body: "not/there"},
		member{name: "ünï.py", body: "x = 1"},
	)
	tree, err := readZip(bytes.NewReader(archive), int64(len(archive)), nimbus.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]fs.FileMode{}
	for _, n := range tree.nodes {
		modes[n.name] = n.mode
	}
	for name, want := range map[string]fs.FileMode{
		"handler.py": 0o644, "bin/tool": 0o755, "bin/root": 0o755, "lib": dirMode, "lib/data.txt": 0o644, "current": linkMode,
	} {
		if modes[name] != want {
			t.Errorf("mode of %s = %v, want %v", name, modes[name], want)
		}
	}
	for name, want := range map[string]string{
		"handler.py": "def handle(event): pass", "current/data.txt": "data", "lib/up.py": "def handle(event): pass",
		"Lib/data.txt": "of another case",
	} {
		if got, err := fs.ReadFile(tree, name); err != nil || string(got) != want {
			t.Errorf("%s reads %q, %v; want %q", name, got, err, want)
		}
	}
	if _, err := fs.Stat(tree, "dangling"); err == nil {
		t.Error("a dangling link leads somewhere")
	}
}

func TestTreeIsAFileSystem(t *testing.T) {
	t.Parallel()
	archive := makeZip(t, member{name: "a.py", body: "a"}, member{name: "b/c/d.txt", body: "d"}, member{name: "e/"})
	tree, err := readZip(bytes.NewReader(archive), int64(len(archive)), nimbus.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(tree, "a.py", "b", "b/c", "b/c/d.txt", "e"); err != nil {
		t.Error(err)
	}
}

// flip spoils one byte of the content of the first entry.
func flip(t testing.TB, archive []byte, at int) []byte {
	t.Helper()
	nameLength := int(binary.LittleEndian.Uint16(archive[26:]))
	if at < 30+nameLength {
		t.Fatal("that is the header")
	}
	archive[at] ^= 0xff
	return archive
}
