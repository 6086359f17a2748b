package build

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"nimbus"
	"nimbus/internal/runtime"
)

// maxScan bounds how much of one file is looked at.
const maxScan = nimbus.MiB

// guess is what a tree looks like to one language.
type guess struct {
	language runtime.Language
	handlers []string // all that qualify; more than one = the user has to choose
	weak     bool     // it counts only where no other language is sure
	missing  string   // why none qualifies, although files of the language are there
}

// guessers look at a tree, each for its language.
func guessers() []func(tree fs.FS) (guess, error) {
	return []func(tree fs.FS) (guess, error){guessPython, guessNode, guessGo, guessWasm, guessCustom}
}

// Infer finds the language and the handler of a tree whose user named none, and checks it as FindHandler does.
// When none or several qualify the error is CodeInvalid, names the candidates and the field to set.
func Infer(tree fs.FS) (runtime.Language, string, error) {
	var sure, weak []guess
	missing := ""
	for _, look := range guessers() {
		g, err := look(tree)
		switch {
		case err != nil:
			return "", "", fmt.Errorf("infer handler: %w", err)
		case len(g.handlers) == 0 && missing == "":
			missing = g.missing
		case len(g.handlers) > 0 && g.weak:
			weak = append(weak, g)
		case len(g.handlers) > 0:
			sure = append(sure, g)
		}
	}
	if len(sure) == 0 {
		sure = weak
	}
	switch {
	case len(sure) == 1:
		handler, err := sure[0].only(tree)
		return sure[0].language, handler, err
	case len(sure) > 1:
		return "", "", severalLanguages(sure)
	case missing != "":
		return "", "", inferError("handler", "%s", missing)
	}
	return "", "", nothingToRun(tree)
}

// InferHandler finds the handler of a tree whose language is known. Errors are as Infer's.
func InferHandler(tree fs.FS, language runtime.Language) (string, error) {
	for _, look := range guessers() {
		g, err := look(tree)
		switch {
		case err != nil:
			return "", fmt.Errorf("infer handler: %w", err)
		case g.language != language:
		case len(g.handlers) > 0:
			return g.only(tree)
		case g.missing != "":
			return "", inferError("handler", "%s", g.missing)
		}
	}
	return "", nothingToRun(tree)
}

// InferLanguage finds the language of a tree whose user named the handler only: the one that finds the handler in
// it. The error, where none does, is of the first language whose form the handler has.
func InferLanguage(tree fs.FS, handler string) (runtime.Language, error) {
	var first error
	languages := []runtime.Language{runtime.Python, runtime.Node, runtime.Go, runtime.Wasm, runtime.Custom}
	if strings.HasSuffix(handler, wasmSuffix) { // it has Python's form too
		languages = slices.Insert(languages, 0, runtime.Wasm)
	}
	for _, language := range languages {
		if !ValidHandler(language, handler) {
			continue
		}
		err := FindHandler(tree, language, handler)
		if err == nil {
			return language, nil
		}
		if nimbus.CodeOf(err) != nimbus.CodeInvalid {
			return "", err
		}
		if first == nil {
			first = err
		}
	}
	return "", first
}

// only returns the one handler, which can be run.
func (g guess) only(tree fs.FS) (string, error) {
	if len(g.handlers) > 1 {
		return "", inferError("handler", "several could be meant: %s; choose one", strings.Join(g.handlers, ", "))
	}
	return g.handlers[0], FindHandler(tree, g.language, g.handlers[0])
}

func severalLanguages(found []guess) error {
	words := make([]string, len(found))
	for i, g := range found {
		words[i] = fmt.Sprintf("%s (%s)", g.language, strings.Join(g.handlers, ", "))
	}
	return inferError("runtime", "the package could be run by %s; choose one", strings.Join(words, " or "))
}

// nothingToRun says what is wrong with a tree that has nothing to start at its top, and guesses why.
func nothingToRun(tree fs.FS) error {
	entries, err := fs.ReadDir(tree, ".")
	if err != nil {
		return fmt.Errorf("infer handler: %w", err)
	}
	const wanted = "at the top of the package there is nothing to run: no .py, .js or .go file, no .wasm, no executable, no bootstrap"
	if len(entries) == 1 && entries[0].IsDir() {
		dir := entries[0].Name()
		return inferError("handler", "%s; all is in %s: pack what is inside that directory, or name the handler as %s", wanted,
			dir, path.Join(dir, "module.function"))
	}
	return inferError("handler", "%s; name the handler as directory/module.function", wanted)
}

func inferError(field, format string, args ...any) error {
	var v nimbus.Invalid
	v.Add(field, "can't be inferred: "+format, args...)
	return v.Err()
}

func readStart(tree fs.FS, name string) ([]byte, error) {
	f, err := tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxScan))
}
