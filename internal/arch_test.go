package internal

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module       = "nimbus"
	maxFileLines = 800
)

// layers are the packages below internal, lowest first. A package imports packages of lower layers, and of its
// own only where sameLayer says so.
func layers() [][]string {
	return [][]string{
		{"wire", "jsontext", "obs", "runtime", "config", "program"},
		{"agent", "wasm"},
		{"driver", "store", "blob", "bus"},
		{"scheduler", "pool"},
		{"build", "function", "invoke", "auth", "backup", "trigger", "workflow"},
		{"problem", "transport", "api", "gateway"},
	}
}

// sameLayer lists the arrows within a layer.
func sameLayer() map[string][]string {
	return map[string][]string{
		"config":    {"obs"},
		"runtime":   {"program"},
		"pool":      {"scheduler"},
		"function":  {"build"},
		"transport": {"problem"},
		"api":       {"problem", "transport"},
		"gateway":   {"problem", "transport"},
	}
}

// contracts have implementations below them, and a conformance suite.
func contracts() []string { return []string{"driver", "store", "blob", "bus"} }

// pure packages import the standard library only.
func pure() []string { return []string{"", "wire", "scheduler", "jsontext", "testenv"} }

// source is a Go file of the module.
type source struct {
	path string // slash-separated, from the module's root
	file *ast.File
	fset *token.FileSet
	size int // lines
}

func (s *source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

// pkg returns the package's path in the module; "" is the root package.
func (s *source) pkg() string {
	if dir := path.Dir(s.path); dir != "." {
		return dir
	}
	return ""
}

func (s *source) at(node ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(node.Pos()).Line)
}

func (s *source) imports() []string {
	paths := make([]string, 0, len(s.file.Imports))
	for _, spec := range s.file.Imports {
		if name, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, name)
		}
	}
	return paths
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir("..", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != ".." && (strings.HasPrefix(entry.Name(), ".") ||
			slices.Contains([]string{"testdata", "data", "bin", "dist", "node_modules"}, entry.Name())) {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		s := source{fset: token.NewFileSet(), size: strings.Count(string(content), "\n")}
		if s.file, err = parser.ParseFile(s.fset, name, content, parser.SkipObjectResolution); err != nil {
			return err
		}
		rel, err := filepath.Rel("..", name)
		s.path = filepath.ToSlash(rel)
		all = append(all, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d files were found", len(all))
	}
	return all
}

func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test() {
			continue // tests may wire what they like
		}
		for _, imported := range s.imports() {
			if why := wrongArrow(s.pkg(), imported); why != "" {
				t.Errorf("%s imports %s: %s", s.path, imported, why)
			}
		}
	}
}

func TestWrongArrows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to string
		wrong    bool
	}{
		{"", "fmt", false},
		{"", "nimbus/internal/store", true},
		{"", "golang.org/x/sys/unix", true},
		{"internal/wire", "nimbus", true},
		{"internal/store", "nimbus", false},
		{"internal/pool", "nimbus/internal/driver", false},
		{"internal/driver", "nimbus/internal/pool", true},
		{"internal/pool", "nimbus/internal/invoke", true},
		{"internal/pool", "nimbus/internal/scheduler", false},
		{"internal/scheduler", "nimbus/internal/pool", true},
		{"internal/invoke", "nimbus/internal/function", true},
		{"internal/function", "nimbus/internal/store/sqlite", true},
		{"internal/gateway", "nimbus/internal/api", true},
		{"internal/invoke", "nimbus/internal/config", true},
		{"internal/api", "nimbus/internal/testenv", true},
		{"internal/api", "testing", true},
		{"internal/driver/sandbox", "nimbus/internal/driver", false},
		{"internal/driver/sandbox", "nimbus/internal/driver/sandbox/cgroup", false},
		{"internal/driver/sandbox", "nimbus/internal/driver/wasm", true},
		{"internal/driver/sandbox", "nimbus/internal/store", true},
		{"internal/driver/sandbox", "nimbus/internal/pool", true},
		{"internal/driver/drivertest", "nimbus/internal/testenv", false},
		{"internal/driver/drivertest", "testing", false},
		{"internal/newcomer", "nimbus/internal/store", true},
		{"client", "nimbus/internal/api", true},
		{"client", "nimbus", false},
		{"cmd/nimbus", "nimbus/internal/store/sqlite", false},
		{"cmd/nimbus", "nimbus/internal/store/storetest", true},
	} {
		if why := wrongArrow(c.from, c.to); (why != "") != c.wrong {
			t.Errorf("%q imports %q: %q", c.from, c.to, why)
		}
	}
}

// wrongArrow says why a package may not import another, "" when it may.
func wrongArrow(from, to string) string {
	here, inInternal := strings.CutPrefix(from, "internal/")
	target, ours := strings.CutPrefix(to, module+"/")
	standard := !strings.Contains(strings.SplitN(to, "/", 2)[0], ".") && !ours && to != module
	suite := isSuite(here) || here == "testenv"
	if to == "testing" && !suite {
		return "only tests, suites and testenv import testing"
	}
	if standard {
		return ""
	}
	if (inInternal || from == "") && slices.Contains(pure(), here) {
		return "this package imports the standard library only"
	}
	if !ours {
		return ""
	}
	target, internal := strings.CutPrefix(target, "internal/")
	switch {
	case !internal:
		if strings.HasPrefix(from, "cmd/") {
			return ""
		}
		return "nothing imports the client or a command, except commands"
	case (isSuite(target) || target == "testenv") && !suite:
		return "suites and testenv are for tests"
	case from == "client":
		return "the client is for everybody, it imports nothing internal"
	case strings.HasPrefix(from, "cmd/") || suite:
		return ""
	case target == "config":
		return "settings are handed down by cmd/nimbus, as each package's own Config"
	}
	return wrongLayer(here, target)
}

// wrongLayer is wrongArrow for two packages below internal.
func wrongLayer(here, target string) string {
	top, contract := split(here)
	targetTop, targetContract := split(target)
	if contract && targetContract && (here == target || strings.HasPrefix(target, here+"/") || strings.HasPrefix(here, target+"/")) {
		return ""
	}
	if targetContract {
		return "only cmd/nimbus names implementations"
	}
	if top == targetTop {
		return "" // an implementation and its contract, a package and what it is split into
	}
	from, to := layer(top), layer(targetTop)
	switch {
	case from < 0:
		return here + " belongs to no layer; give it one in arch_test.go"
	case to < 0:
		return target + " belongs to no layer; give it one in arch_test.go"
	case contract && from == to:
		return "an implementation imports its own contract only"
	case from == to && !slices.Contains(sameLayer()[top], targetTop), from < to:
		return "imports point down: cmd, transports, use cases, pool and scheduler, contracts, foundation"
	}
	return ""
}

// split returns the first part of a package's path and whether it is an implementation of that contract.
func split(pkg string) (top string, implementation bool) {
	top, rest, _ := strings.Cut(pkg, "/")
	return top, rest != "" && slices.Contains(contracts(), top) && !isSuite(pkg)
}

// isSuite reports whether a package is for tests: storetest, pooltest.
func isSuite(pkg string) bool {
	parent, name := path.Split(pkg)
	return parent != "" && name == path.Base(parent)+"test"
}

func layer(top string) int {
	return slices.IndexFunc(layers(), func(names []string) bool { return slices.Contains(names, top) })
}

func TestHouseRules(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.size > maxFileLines {
			t.Errorf("%s has %d lines, %d are allowed: split it by concept", s.path, s.size, maxFileLines)
		}
		for part := range strings.SplitSeq(s.pkg(), "/") {
			if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "models", "pkg"}, part) {
				t.Errorf("%s: %q says nothing about what the package owns", s.path, part)
			}
		}
		for _, decl := range s.file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: no init functions: wire in cmd/nimbus", s.at(f))
			}
		}
		checkCalls(t, &s)
	}
}

// checkCalls looks for functions of the standard library that are out of place.
func checkCalls(t *testing.T, s *source) {
	t.Helper()
	// The command line's context, what a child of the sandbox is started with, and what tests are told.
	mayReadEnvironment := s.test() || slices.Contains([]string{"internal/config", "internal/testenv", "cmd/nimbus",
		"cmd/nimbus-agent", "internal/driver/sandbox"}, s.pkg())
	// Under synctest time is not real.
	maySleep := !s.test() || slices.Contains(s.imports(), "testing/synctest")
	ast.Inspect(s.file, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		owner, ok := selector.X.(*ast.Ident)
		if !ok {
			return true
		}
		switch name := owner.Name + "." + selector.Sel.Name; name {
		case "os.Getenv", "os.LookupEnv", "os.Environ", "syscall.Getenv", "syscall.Environ":
			if !mayReadEnvironment {
				t.Errorf("%s: %s: only internal/config reads the environment", s.at(node), name)
			}
		case "time.Sleep":
			if !maySleep {
				t.Errorf("%s: no time.Sleep in a test: use testing/synctest, a channel or testenv.Eventually", s.at(node))
			}
		}
		return true
	})
}

// TestScriptsAreParted holds what is embedded in other languages to the length of Go files.
func TestScriptsAreParted(t *testing.T) {
	t.Parallel()
	const languages = ".py .js .cjs .mjs .sh"
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) == "" || !strings.Contains(languages, filepath.Ext(path)) {
			return err
		}
		text, err := os.ReadFile(path)
		if n := strings.Count(string(text), "\n"); n > maxFileLines {
			t.Errorf("%s has %d lines, %d are allowed: split it by concept", path, n, maxFileLines)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
