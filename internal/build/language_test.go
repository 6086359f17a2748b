package build

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"nimbus"
	"nimbus/internal/runtime"
	"nimbus/internal/testenv"
)

const (
	mainGo = "package main\n\nfunc main() {}\n"
	wasm   = wasmMagic + "\x01\x00\x00\x00"
)

// program returns an ELF header that says what the test wants.
func elfFile(edit func(header []byte)) string {
	h := make([]byte, elfHeader+programHeader)
	copy(h, elfMagic+"\x02\x01\x01")
	put := binary.LittleEndian
	put.PutUint16(h[16:], 2)
	put.PutUint16(h[18:], map[string]uint16{"amd64": 62, "arm64": 183}[machine()])
	put.PutUint64(h[24:], 0x400000)
	put.PutUint64(h[32:], elfHeader)
	put.PutUint16(h[54:], programHeader)
	put.PutUint16(h[56:], 1)
	put.PutUint32(h[elfHeader:], 1)
	if edit != nil {
		edit(h)
	}
	return string(h)
}

// interpreted gives an ELF file a loader.
func interpreted(loader string) string {
	return elfFile(func(h []byte) {
		binary.LittleEndian.PutUint16(h[16:], 3)
		binary.LittleEndian.PutUint32(h[elfHeader:], 3)
		binary.LittleEndian.PutUint64(h[elfHeader+8:], elfHeader+programHeader)
		binary.LittleEndian.PutUint64(h[elfHeader+32:], uint64(len(loader)+1))
	}) + loader + "\x00"
}

func TestInferLanguages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tree     fstest.MapFS
		language runtime.Language
		handler  string
	}{
		"node":                        {files("handler.js", "exports.handle = async (e) => e"), runtime.Node, "handler.handle"},
		"node, ES module":             {files("index.mjs", "export const handler = async () => 1"), runtime.Node, "index.handler"},
		"node, both names":            {files("index.js", "exports.handler = exports.handle = x"), runtime.Node, "index.handle"},
		"node, package.json":          {files("package.json", `{"main": "src/app.js"}`, "src/app.js", "module.exports = { handler }"), runtime.Node, "src/app.handler"},
		"node, main without suffix":   {files("package.json", `{"main": "./lib/x"}`, "lib/x.cjs", "exports.handle = 1"), runtime.Node, "lib/x.handle"},
		"node, broken package.json":   {files("package.json", `{`, "index.js", "exports.handler = 1"), runtime.Node, "index.handler"},
		"node beside Python's set-up": {files("index.js", "exports.handler = 1", "setup.py", "x = 1"), runtime.Node, "index.handler"},
		"python beside a page's code": {files("app.py", defines("handle"), "page.js", "document.title = 1"), runtime.Python, "app.handle"},
		"python's main beside node":   {files("tool.py", defines("main"), "index.js", "exports.handler = 1"), runtime.Node, "index.handler"},
		"go":                          {files("main.go", mainGo), runtime.Go, "main"},
		"go module":                   {files("go.mod", "module x", "x.go", mainGo), runtime.Go, "main"},
		"go command":                  {files("go.mod", "module x", "lib/x.go", "package lib", "cmd/api/main.go", mainGo), runtime.Go, "api"},
		"go beside other systems'":    {files("go.mod", "module x", "main_windows.go", mainGo, "lib.go", mainGo), runtime.Go, "main"},
		"go program":                  {files("main", elfFile(nil)), runtime.Go, "main"},
		"go program of any name":      {files("hello", elfFile(nil), "data.txt", "x"), runtime.Go, "hello"},
		"python's own library":        {files("app.py", defines("handle"), "fast.cpython-311.so", elfFile(nil)), runtime.Python, "app.handle"},
		"wasm":                        {files("hello.wasm", wasm), runtime.Wasm, "hello.wasm"},
		"wasm beside its source in C": {files("handler.wasm", wasm, "handler.c", "int main"), runtime.Wasm, "handler.wasm"},
		"wasm from go":                {files("main.go", "package main\n\n//go:wasmexport handle\nfunc handle(p, n uint32) uint64 { return 0 }\n\nfunc main() {}\n"), runtime.Wasm, "main.wasm"},
		"node with a wasm file":       {files("index.js", "exports.handler = 1", "codec.wasm", wasm), runtime.Node, "index.handler"},
		"custom":                      {files("bootstrap", "#!/bin/sh\n"), runtime.Custom, "bootstrap"},
		"custom program":              {files("bootstrap", elfFile(nil)), runtime.Custom, "bootstrap"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			language, handler, err := Infer(c.tree)
			if err != nil || language != c.language || handler != c.handler {
				t.Errorf("Infer = %s, %q, %v; want %s, %q", language, handler, err, c.language, c.handler)
			}
			if handler, err := InferHandler(c.tree, c.language); err != nil || handler != c.handler {
				t.Errorf("InferHandler = %q, %v", handler, err)
			}
			if language, err := InferLanguage(c.tree, c.handler); err != nil || language != c.language && c.language != runtime.Custom {
				t.Errorf("InferLanguage = %s, %v", language, err)
			}
			if !ValidHandler(c.language, c.handler) || !ValidHandler("", c.handler) {
				t.Errorf("%q is not valid", c.handler)
			}
		})
	}
}

func TestInferAsksForMore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tree  fstest.MapFS
		field string
		want  string
	}{
		"two languages":  {files("app.py", defines("handle"), "index.js", "exports.handler = 1"), "runtime", "python (app.handle) or node (index.handler); choose one"},
		"go and wasm":    {files("main.go", mainGo, "handler.wasm", wasm), "runtime", "go (main) or wasm (handler.wasm)"},
		"two scripts":    {files("a.js", "exports.handler = 1", "b.js", "exports.handler = 1"), "handler", "a.handler, b.handler"},
		"two commands":   {files("cmd/a/a.go", mainGo, "cmd/b/b.go", mainGo), "handler", "a, b; choose one"},
		"two modules":    {files("a.wasm", wasm, "b.wasm", wasm), "handler", "a.wasm, b.wasm; choose one"},
		"no export":      {files("server.js", "listen()"), "handler", "no export named handle or handler was found in server"},
		"a library":      {files("lib.go", "package lib"), "handler", "the Go files are package lib; a function is package main"},
		"for another":    {files("main", elfFile(func(h []byte) { h[18], h[19] = 40, 0 })), "code", "main is built for arm, this machine is " + machine()},
		"a component":    {files("handler.wasm", wasmMagic+"\x0d\x00\x01\x00"), "code", "is a WebAssembly component"},
		"not executable": {files("bootstrap", "echo hello\n"), "code", "neither ELF nor a script that begins with #!"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := Infer(c.tree)
			wantField(t, err, c.field, c.want)
		})
	}
	_, err := InferHandler(files("app.py", defines("handle")), runtime.Node)
	wantField(t, err, "handler", "nothing to run")
	_, err = InferLanguage(files("app.py", defines("handle")), "main.handle")
	wantField(t, err, "handler", "main.py")
	_, err = InferLanguage(files("handler.wasm", wasm), "other.wasm")
	wantField(t, err, "handler", `"other.wasm" is no file of the package`)
}

func wantField(t *testing.T, err error, field, want string) {
	t.Helper()
	if nimbus.CodeOf(err) != nimbus.CodeInvalid {
		t.Fatalf("error = %v, want code invalid", err)
	}
	got := err.(*nimbus.Error).Fields[0]
	if got.Field != field || !strings.Contains(got.Detail, want) {
		t.Errorf("%s: %q, want %s: …%s…", got.Field, got.Detail, field, want)
	}
}

func TestProgramsThatCanNotBeStarted(t *testing.T) {
	t.Parallel()
	put := binary.LittleEndian
	other := map[string]uint16{"amd64": 183, "arm64": 62}[machine()]
	for name, c := range map[string]struct{ text, want string }{
		"empty":             {"", "is empty"},
		"text":              {"hello", "is no executable"},
		"another machine":   {elfFile(func(h []byte) { put.PutUint16(h[18:], other) }), "this machine is " + machine()},
		"32 bit":            {elfFile(func(h []byte) { h[4], h[18] = 1, 3 }), "is built for 386"},
		"big endian":        {elfFile(func(h []byte) { h[5] = 2; binary.BigEndian.PutUint16(h[18:], 22) }), "is built for s390x"},
		"unheard of":        {elfFile(func(h []byte) { put.PutUint16(h[18:], 9999) }), "is built for machine 9999"},
		"FreeBSD":           {elfFile(func(h []byte) { h[7] = 9 }), "is built for FREEBSD, not for Linux"},
		"object file":       {elfFile(func(h []byte) { h[16] = 1 }), "is an object file"},
		"core dump":         {elfFile(func(h []byte) { h[16] = 4 }), "another kind of ELF"},
		"library":           {elfFile(func(h []byte) { h[16] = 3; put.PutUint64(h[24:], 0) }), "is a shared library"},
		"cut short":         {elfFile(nil)[:20], "is damaged"},
		"headers elsewhere": {elfFile(func(h []byte) { put.PutUint64(h[32:], 1<<63) }), "is damaged"},
		"many headers":      {elfFile(func(h []byte) { put.PutUint16(h[56:], 0xffff) }), "is damaged"},
		"no headers":        {elfFile(func(h []byte) { put.PutUint16(h[56:], 0) }), "is damaged"},
		"loader elsewhere": {elfFile(func(h []byte) {
			h[elfHeader] = 3
			put.PutUint64(h[elfHeader+8:], 1<<63)
			put.PutUint64(h[elfHeader+32:], 9)
		}), "is damaged"},
		"endless loader":       {elfFile(func(h []byte) { h[elfHeader] = 3; put.PutUint64(h[elfHeader+32:], 1<<63) }), "is damaged"},
		"musl":                 {interpreted("/lib/ld-musl-vax.so.1"), "needs /lib/ld-musl-vax.so.1, which this machine does not have: link it statically"},
		"loader of the host":   {interpreted("/etc/hostname"), "they see /usr only"},
		"relative loader":      {interpreted("ld.so"), "is no absolute path"},
		"macOS":                {"\xcf\xfa\xed\xfe rest", "is a program for macOS, not for Linux: build it with GOOS=linux GOARCH=" + machine()},
		"Windows":              {"MZ rest", "is a program for Windows"},
		"wasm":                 {wasm, "is WebAssembly: deploy it with the runtime wasm"},
		"CR LF":                {"#!/bin/sh\r\necho\r\n", "with CR LF"},
		"byte order mark":      {"\xef\xbb\xbf#!/bin/sh\n", "byte order mark"},
		"no interpreter":       {"#!\necho\n", "does not say after #!"},
		"absent interpreter":   {"#! /usr/bin/nothing -x\n", "is to be run by /usr/bin/nothing, which this machine does not have"},
		"absent through env":   {"#!/usr/bin/env -S A=1 nothing2 -x\n", "is to be run by nothing2, which is not in /usr/local/bin"},
		"not in the package":   {"#!/var/task/run\n", "which is not in the package"},
		"a directory":          {"#!/usr/bin\n", "is no program"},
		"relative interpreter": {"#!bin/sh\n", "is no absolute path"},
		"a long line":          {"#!/bin/sh " + strings.Repeat("x", 300) + "\n", "more than 255 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantField(t, FindHandler(files("main", c.text), runtime.Go, "main"), "code", c.want)
		})
	}
	for name, text := range map[string]string{
		"static": elfFile(nil), "position-independent": elfFile(func(h []byte) { h[16] = 3 }), "sh": "#!/bin/sh\nexit", "spaces": "#!  /bin/sh\n",
		"env": "#!/usr/bin/env sh\n", "in the package": "#!/var/function/lib/run\n", "loader in the package": interpreted("/var/task/lib/run"),
	} {
		if err := FindHandler(files("main", text, "lib/run", ""), runtime.Go, "main"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Real programs, of the system and of the toolchain.
func TestRealPrograms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, path := range []string{"/bin/sh", "/usr/bin/env"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := FindHandler(files("main", string(text)), runtime.Go, "main"); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	goCommand := testenv.RequireGo(t)
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(mainGo), 0o600); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{
		"linux/" + machine(): "", "darwin/arm64": "is a program for macOS", "windows/amd64": "is a program for Windows",
		"linux/s390x": "is built for s390x", "wasip1/wasm": "is WebAssembly",
	} {
		goos, goarch, _ := strings.Cut(target, "/")
		cmd := exec.Command(goCommand, "build", "-o", goos+goarch, "main.go")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", target, err, out)
		}
		switch err := FindHandler(os.DirFS(dir), runtime.Go, goos+goarch); {
		case want == "" && err != nil:
			t.Errorf("%s: %v", target, err)
		case want != "":
			wantField(t, err, "code", want)
		}
	}
}

func TestProgramsBecomeExecutable(t *testing.T) {
	t.Parallel()
	b := newBench(t, nimbus.DefaultLimits())
	tree, err := b.Tree(t.Context(), b.build(t, member{name: "main", body: elfFile(nil)}, member{name: "bootstrap", body: "#!/bin/sh\n"},
		member{name: "x.so", body: elfFile(nil)}, member{name: "text", body: "x"}, member{name: "bin/main", body: elfFile(nil)}))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"main": 0o555, "bootstrap": 0o555, "x.so": 0o444, "text": 0o444, "bin/main": 0o444} {
		if st, err := fs.Stat(tree, name); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", name, st.Mode(), err, want)
		}
	}
	wantField(t, FindHandler(tree, runtime.Go, "bin/main"), "code", "bin/main is not executable: set its mode with chmod +x")
	if err := FindHandler(tree, runtime.Go, "main"); err != nil {
		t.Error(err)
	}
}

func TestFindHandlerLanguages(t *testing.T) {
	t.Parallel()
	tree := files("a.js", "", "src/b.mjs", "", "src/index.cjs", "", "app.prod.js", "", "main.go", mainGo, "cmd/api/x.go", mainGo, "tool/main.go", mainGo, "lib/l.go", "package lib", "m.wasm", wasm, "text.wasm", "(module)", "no.wasm", "x",
		"v2.wasm", wasmMagic+"\x02\x00\x00\x00")
	for handler, language := range map[string]runtime.Language{
		"a.handle": runtime.Node, "src/b.handle": runtime.Node, "src/b.object.handle": runtime.Node, "src.handle": runtime.Node, "app.prod.handle": runtime.Node, "main": runtime.Go, "api": runtime.Go, "tool": runtime.Go, "any": runtime.Go,
		"m.wasm": runtime.Wasm, "main.wasm": runtime.Wasm, "tool.wasm": runtime.Wasm,
	} {
		if err := FindHandler(tree, language, handler); err != nil {
			t.Errorf("%s %s: %v", language, handler, err)
		}
	}
	wantField(t, FindHandler(tree, runtime.Node, "b.handle"), "handler", `"b.handle" needs the file b.js, b.mjs or b.cjs; the package has a.js`)
	wantField(t, FindHandler(tree, runtime.Custom, "any.thing"), "handler", "needs the file bootstrap at its top")
	wantField(t, FindHandler(files("lib.go", "package lib"), runtime.Go, "main"), "handler", "nor is there Go source (package main)")
	wantField(t, FindHandler(files("x.py", ""), runtime.Wasm, "x.wasm"), "handler", "nor is there Go source to compile it from; the package has x.py")
	wantField(t, FindHandler(tree, runtime.Wasm, "text.wasm"), "code", "wat2wasm")
	wantField(t, FindHandler(tree, runtime.Wasm, "no.wasm"), "code", "is no WebAssembly")
	wantField(t, FindHandler(tree, runtime.Wasm, "v2.wasm"), "code", "of version 2; only version 1")
}

func TestValidHandlers(t *testing.T) {
	t.Parallel()
	for language, texts := range map[runtime.Language][2][]string{
		runtime.Node:   {{"index.handler", "src/a-b.$x", "a.b.c", "src/app.prod.handle"}, {"a..b", "../a.b", "handler", "/a.b", "a b.c"}},
		runtime.Go:     {{"main", "bin/main", "my-api_2.bin"}, {"", "../main", "/main", ".hidden", "a//b", "a/../b", "a b", "a/"}},
		runtime.Wasm:   {{"handler.wasm", "x/y.wasm"}, {"", "../x.wasm", "./x.wasm"}},
		runtime.Custom: {{"bootstrap", "function.handler", "a::b", "../x"}, {"", "a b", "a\n", "é"}},
		"":             {{"a.b", "main", "x/y.wasm"}, {"", "../a", "a b", "a::b"}},
	} {
		for i, want := range []bool{true, false} {
			for _, text := range texts[i] {
				if ValidHandler(language, text) != want {
					t.Errorf("ValidHandler(%s, %q) = %v", language, text, !want)
				}
			}
		}
		if HandlerRule(language) == "" {
			t.Errorf("%s has no rule", language)
		}
	}
}

func TestNamesOfSingleFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		language      runtime.Language
		handler, text string
		want          string
	}{
		{"", "", "def handle(e): pass", "handler.py"},
		{"", "", "exports.handle = (e) => e", "handler.js"},
		{"", "", "export const handle = (e) => e", "handler.mjs"},
		{"", "", "// a program\npackage main\n", "main.go"},
		{"", "", "#!/bin/sh\necho", "bootstrap"},
		{"", "", "#!/usr/bin/env python3\ndef handle(e): pass", "handler.py"},
		{"", "", "", "handler.py"},
		{runtime.Python, "app.main", "x", "app.py"},
		{runtime.Python, "src.app.main", "x", "src/app.py"},
		{runtime.Node, "src/app.main", "x", "src/app.js"},
		{runtime.Node, "", "import x from 'y'\nexport function handle() {}", "handler.mjs"},
		{runtime.Go, "api", "x", "main.go"},
		{runtime.Wasm, "x.wasm", "x", "main.go"},
		{runtime.Custom, "any", "x", "bootstrap"},
	} {
		if got := TextFile(c.language, c.handler, c.text); got != c.want {
			t.Errorf("TextFile(%q, %q, %q) = %q, want %q", c.language, c.handler, c.text, got, c.want)
		}
	}
	for path, want := range map[string]string{"x/app.py": "app.py", "y/hello.go": "main.go", "a.wasm": "a.wasm", "dir/bootstrap": "bootstrap", "f.mjs": "f.mjs"} {
		if got := FileName(path, []byte("text")); got != want {
			t.Errorf("FileName(%q) = %q, want %q", path, got, want)
		}
	}
	if got := FileName("build/hello", []byte(elfMagic)); got != "main" {
		t.Errorf("a program is called %q", got)
	}
	for want, got := range map[string]string{
		"main": BinaryFile("", "", nil), "handler.wasm": BinaryFile("", "", []byte(wasm)), "bootstrap": BinaryFile(runtime.Custom, "x.y", nil), "api": BinaryFile(runtime.Go, "api", nil),
	} {
		if got != want {
			t.Errorf("BinaryFile = %q, want %q", got, want)
		}
	}
}

func TestScanScript(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"exports.handle = 1":                 "handle",
		"module.exports.handler=async()=>{}": "handler",
		"module.exports = { handle, other: 1, async f() {}, *g() {}, 'quoted': 1, ...rest, h: (a, b) => ({x: 1, y: 2}) };": "handle other f g h",
		"export async function handle(e) {}":                                     "handle",
		"export function* items() {}":                                            "items",
		"export const a = 1; export let b":                                       "a b",
		"export { x, y as handler };":                                            "x handler",
		"export default { handle };":                                             "handle",
		"export default async function handler() {}":                             "handler",
		"class A {};export{A as handle}":                                         "handle",
		"exports.a = exports.b = 1":                                              "a b",
		"x.exports.no = 1; myexports.no = 1; exports.no == 1":                    "",
		"// exports.no = 1\n/* exports.no = 2 */ exports.yes = 3":                "yes",
		"'exports.no = 1'; `exports.no = ${`exports.no = 1`} `; exports.yes = 1": "yes",
		"a = /exports.no = '/; exports.yes = 1":                                  "yes",
		"a = b / c; exports.yes = d / e":                                         "yes",
		"#!/usr/bin/env node\nexports.yes = 1":                                   "yes",
		"'never closed\nexports.yes = 1":                                         "yes",
	} {
		if got := strings.Join(scanScript([]byte(src)).exports, " "); got != want {
			t.Errorf("%s\nexports %q, want %q", src, got, want)
		}
	}
	for src, want := range map[string]bool{"import x from 'y'": true, "import 'y'": true, "x; import {a} from 'b'": true, "export const a = 1": true, "export * from 'x'": true,
		"const x = await import('y')": false, "import('y')": false, "exports.a = 1": false, "important = 1": false} {
		if got := scanScript([]byte(src)).esModule; got != want {
			t.Errorf("%s: ES module is %v", src, got)
		}
	}
}

func FuzzScanScript(f *testing.F) {
	for _, src := range []string{"exports.a = `${`", "export {", "module.exports = {{{", "/[/", "'\\", "`${`${"} {
		f.Add([]byte(src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		for _, name := range scanScript(src).exports {
			if name == "" || !bytes.Contains(src, []byte(name)) {
				t.Errorf("%q is not in the source", name)
			}
		}
	})
}

func FuzzProgramHead(f *testing.F) {
	for _, text := range []string{elfFile(nil), interpreted("/lib64/ld-linux-x86-64.so.2"), "#!/usr/bin/env -S", "#!", "MZ"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		_ = cannotStart(files(), head)
	})
}
