package build

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"nimbus/internal/runtime"
)

// MaxHandler bounds the bytes of a handler's text.
const MaxHandler = 256

// The files that what is no archive becomes.
const (
	goBinary   = "main"
	goText     = "main.go"
	wasmBinary = "handler.wasm"
	bootstrap  = "bootstrap"
	wasmSuffix = ".wasm"
)

var (
	// pythonForm is module.function; the module is dotted or slashed.
	pythonForm = regexp.MustCompile(`^[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)*\.[A-Za-z_][A-Za-z0-9_]*$`)
	// nodeForm is file.export; the file is a path without its suffix, the export may be one of an export's.
	nodeForm = regexp.MustCompile(`^([A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+(\.[A-Za-z0-9_$-]+)*\.[A-Za-z_$][A-Za-z0-9_$]*$`)
	// fileForm is the path of a file in the package.
	fileForm = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$`)
	// customForm is anything: a bootstrap of the user's reads it from _HANDLER.
	customForm = regexp.MustCompile(`^[!-~]+$`)
)

// ValidHandler reports whether text has the form of a handler of the language: "handler.handle",
// "src/app.main"; of go and wasm, the file that is run. Of "", when no runtime is known yet, whether it is one
// of any language but custom, whose handlers may be anything.
func ValidHandler(language runtime.Language, text string) bool {
	if language == "" {
		return slices.ContainsFunc([]runtime.Language{runtime.Python, runtime.Node, runtime.Go},
			func(l runtime.Language) bool { return ValidHandler(l, text) })
	}
	return len(text) <= MaxHandler && handlerForm(language).MatchString(text)
}

func handlerForm(language runtime.Language) *regexp.Regexp {
	switch language {
	case runtime.Python:
		return pythonForm
	case runtime.Node:
		return nodeForm
	case runtime.Go, runtime.Wasm:
		return fileForm
	}
	return customForm
}

// HandlerRule says in words what ValidHandler asks for.
func HandlerRule(language runtime.Language) string {
	switch language {
	case runtime.Python:
		return "must be module.function, of at most 256 letters, digits, _ and -; a module may be dotted or slashed"
	case runtime.Node:
		return "must be file.export, of at most 256 letters, digits, _ and -; a file may be in a directory: src/app.handler"
	case runtime.Go, runtime.Wasm:
		return "must be the path of a file in the package, of at most 256 letters, digits, _, - and ."
	case "":
		return "must be module.function or the path of a file in the package, of at most 256 letters, digits, _, - and ."
	}
	return "must be at most 256 printable characters without spaces"
}

// TextFile returns the file that code given as text becomes, by the language and the valid handler it was
// given with; either may be empty.
func TextFile(language runtime.Language, handler, text string) string {
	if language == "" {
		language = TextLanguage(text)
	}
	module := "handler"
	if handler != "" && (language == runtime.Python || language == runtime.Node) && ValidHandler(language, handler) {
		module = modulePath(language, handler)
	}
	switch language {
	case runtime.Node:
		if scanScript([]byte(text)).esModule {
			return module + ".mjs"
		}
		return module + ".js"
	case runtime.Go, runtime.Wasm:
		return goText
	case runtime.Custom:
		return bootstrap
	}
	return module + ".py"
}

// TextLanguage tells the language of code given as text: Python, unless it looks like another.
func TextLanguage(text string) runtime.Language {
	src := []byte(text)
	switch {
	case goPackageName(src) != "":
		return runtime.Go
	case strings.HasPrefix(text, "#!") && !strings.Contains(firstLine(text), "python"):
		return runtime.Custom
	case len(scanScript(src).exports) > 0 && len(scanModule(src).functions) == 0:
		return runtime.Node
	}
	return runtime.Python
}

// BinaryStart returns as much of a program's beginning as BinaryFile needs.
func BinaryStart(program io.ReaderAt) ([]byte, error) {
	start := make([]byte, len(wasmMagic))
	n, err := program.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("look at a program: %w", err)
	}
	return start[:n], nil
}

// BinaryFile returns the file that a program given without an archive becomes, by the language and the valid
// handler it was given with, either may be empty, and by how it begins.
func BinaryFile(language runtime.Language, handler string, start []byte) string {
	if language == "" && bytes.HasPrefix(start, []byte(wasmMagic)) {
		language = runtime.Wasm
	}
	switch {
	case language == runtime.Custom:
		return bootstrap
	case handler != "" && ValidHandler(language, handler):
		return handler
	case language == runtime.Wasm:
		return wasmBinary
	}
	return goBinary
}

// FileName returns the name in a package of a single file that is deployed, by its path and how it begins.
// Programs and Go source get the name that is run; everything else keeps its own, which its handler refers to.
func FileName(file string, start []byte) string {
	name := path.Base(file)
	switch {
	case name == bootstrap:
		return name
	case bytes.HasPrefix(start, []byte(elfMagic)):
		return goBinary
	case path.Ext(name) == ".go":
		return goText
	}
	return name
}

// modulePath returns the file, without its suffix, of a handler that names a function in one.
func modulePath(language runtime.Language, handler string) string {
	module := handler[:strings.LastIndexByte(handler, '.')]
	if language == runtime.Python {
		module = strings.ReplaceAll(module, ".", "/")
	}
	return module
}

// moduleFiles returns the files that a handler's function may be in, the likeliest first.
func moduleFiles(language runtime.Language, handler string) []string {
	module := modulePath(language, handler)
	if language == runtime.Python {
		return []string{module + ".py", path.Join(module, "__init__.py")}
	}
	var files []string
	for module != "" {
		for _, base := range []string{module, module + "/index"} {
			for _, suffix := range scriptSuffixes() {
				files = append(files, base+suffix)
			}
		}
		// What is before a dot may be the file already, and what is after it an object that it exports.
		dir, name := path.Split(module)
		dot := strings.LastIndexByte(name, '.')
		if dot < 0 {
			break
		}
		module = dir + name[:dot]
	}
	return files
}

// scriptSuffixes are those of Node's files, in the order in which they are looked for.
func scriptSuffixes() []string { return []string{".js", ".mjs", ".cjs"} }

func isScript(name string) bool { return slices.Contains(scriptSuffixes(), path.Ext(name)) }

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
