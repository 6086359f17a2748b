package drivertest

import (
	_ "embed" // for the suite in each language
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nimbus/internal/runtime"
	"nimbus/internal/testenv"
)

// programs are the suites that are compiled.
const programs = "nimbus/internal/driver/drivertest/testdata/"

// Suite is the functions that the cases call, in one language. Cases that call what a language lacks are left
// out for it.
type Suite struct {
	Runtime   runtime.Runtime
	Functions []string                       // those there are
	Handler   func(function string) string   // what names one
	Write     func(t testing.TB, dir string) // puts their package into a directory
	Failure   string                         // the type of the error that raises fails with
	Broken    map[string]string              // functions that can't be initialised, and the type of the error
	Settings  map[string]string              // an environment that acts when a process starts
	Items     bool                           // what is streamed keeps its parts
	Frees     bool                           // memory of a call is given back when it ends
	Processes int                            // of an idle instance
}

//go:embed suite.py
var suitePython []byte

// Python is the suite for a Python runtime.
func Python(rt runtime.Runtime) Suite {
	modules := map[string]string{
		"slow":    "print('importing', flush=True)\nimport time\ntime.sleep(1000)\n",
		"missing": "import no_such_module", "syntax": "def handle(:", "nothing": "", "throws": "raise KeyError('x')",
	}
	return Suite{
		Runtime: rt, Functions: append(defined(string(suitePython), "def "), "slow"), Failure: "ValueError", Items: true, Frees: true, Processes: 1,
		Broken: map[string]string{"missing": "Runtime.ImportModuleError", "syntax": "Runtime.UserCodeSyntaxError",
			"nothing": "Runtime.HandlerNotFound", "throws": "KeyError"},
		Settings: map[string]string{"LD_BIND_NOW": "1", "PYTHONHASHSEED": "7"},
		Handler:  moduleOr(modules), Write: write(suitePython, "suite.py", modules, ".py"),
	}
}

//go:embed suite.js
var suiteNode []byte

// Node is the suite for a Node runtime.
func Node(rt runtime.Runtime) Suite {
	modules := map[string]string{
		"slow":    "process.stdout.write('importing\\n'); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1e6);",
		"missing": "require('no-such-module')", "syntax": "exports.handle = (", "nothing": "", "throws": "throw new RangeError('x')",
	}
	return Suite{
		Runtime: rt, Functions: append(defined(string(suiteNode), "exports."), "slow"), Failure: "RangeError", Items: true, Processes: 1,
		Broken: map[string]string{"missing": "Runtime.ImportModuleError", "syntax": "Runtime.UserCodeSyntaxError",
			"nothing": "Runtime.HandlerNotFound", "throws": "RangeError"},
		Settings: map[string]string{"LD_BIND_NOW": "1", "NODE_OPTIONS": "--stack-trace-limit=3"},
		Handler:  moduleOr(modules), Write: write(suiteNode, "suite.js", modules, ".js"),
	}
}

//go:embed testdata/suite/functions.go
var suiteGo []byte

// Native is the suite as a program that speaks the agent protocol itself: what a runtime made of one static
// executable can do, whatever the executable.
func Native(t testing.TB) Suite {
	t.Helper()
	program := testenv.BuildGo(t, programs+"suite")
	return Suite{
		Runtime:   runtime.Runtime{Name: "native", Language: runtime.Custom, Version: "1", Path: program},
		Functions: append(defined(string(suiteGo), "\tcase "), "slow"), Failure: "failure", Items: true, Processes: 1,
		Broken:  map[string]string{"missing": "Runtime.HandlerNotFound"},
		Handler: func(function string) string { return function }, Write: func(testing.TB, string) {},
	}
}

// Custom is the suite as a bootstrap of the custom runtime, which the agent at the path serves.
func Custom(t testing.TB, agent string) Suite {
	t.Helper()
	program := testenv.BuildGo(t, programs+"suite")
	s := Native(t)
	s.Runtime = runtime.Runtime{Name: "custom", Language: runtime.Custom, Version: "1", Path: agent}
	s.Settings = map[string]string{"LD_BIND_NOW": "1", "GODEBUG": "madvdontneed=1"}
	s.Items, s.Processes = false, 2
	s.Write = func(t testing.TB, dir string) {
		t.Helper()
		b, err := os.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "bootstrap"), b, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// defined lists the functions that a source defines: what follows the prefix of a line.
func defined(source, prefix string) []string {
	var names []string
	for line := range strings.Lines(source) {
		rest, ok := strings.CutPrefix(line, prefix)
		if !ok {
			continue
		}
		rest = strings.TrimLeft(rest, `"`)
		end := strings.IndexFunc(rest, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r == '_') })
		names = append(names, rest[:max(end, 0)])
	}
	return names
}

// moduleOr names functions of the suite's module, but for those that are modules of their own.
func moduleOr(modules map[string]string) func(string) string {
	return func(function string) string {
		if _, own := modules[function]; own {
			return function + ".handle"
		}
		return "suite." + function
	}
}

func write(suite []byte, name string, modules map[string]string, extension string) func(t testing.TB, dir string) {
	return func(t testing.TB, dir string) {
		t.Helper()
		writeFile(t, filepath.Join(dir, name), string(suite))
		for module, source := range modules {
			writeFile(t, filepath.Join(dir, module+extension), source)
		}
	}
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// has reports whether every one of the functions is there.
func (s *Suite) has(functions string) bool {
	return !slices.ContainsFunc(strings.Fields(functions), func(f string) bool { return !slices.Contains(s.Functions, f) })
}
