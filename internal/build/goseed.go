package build

import (
	"context"
	"errors"
	"fmt"
	gobuild "go/build"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nimbus"
	"nimbus/internal/agent/buildmsg"
	"nimbus/internal/blob"
)

// maxSeed bounds the compiled standard library.
const maxSeed = nimbus.GiB

// seedPackages are those of the standard library that functions are sure to use.
func seedPackages() []string {
	return []string{"bufio", "bytes", "context", "encoding/json", "errors", "fmt", "io", "log", "os", "slices", "strconv",
		"strings", "sync", "time"}
}

// goSeed is the build cache of the standard library for a toolchain and a target, as far as programs have asked
// for it. Only requests of the platform's own fill it; builds see it read-only.
//
//	<dir>/cache/    laid out as go's
//	<dir>/packages  the packages that are in it, a line each; written last
type goSeed struct {
	dir  string
	have []string
}

func openSeed(dir string) (goSeed, error) {
	text, err := os.ReadFile(filepath.Join(dir, "packages"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return goSeed{}, err
	}
	return goSeed{dir: dir, have: strings.Fields(string(text))}, nil
}

func (s goSeed) cache() string { return filepath.Join(s.dir, "cache") }

// add takes what was compiled into the cache, and notes that these packages are in it.
func (s goSeed) add(compiled string, packages []string) error {
	if err := mergeTree(compiled, s.cache()); err != nil {
		return err
	}
	tmp := filepath.Join(s.dir, "packages.new")
	if err := os.WriteFile(tmp, []byte(strings.Join(append(s.have, packages...), "\n")), 0o600); err != nil {
		return blob.DiskError(err)
	}
	return os.Rename(tmp, filepath.Join(s.dir, "packages"))
}

// seed returns the build cache of the standard library for the plan's toolchain and target, after adding what it
// lacks of the imports.
func (j *job) seed(ctx context.Context, imported []string) (string, error) {
	target := "-" + j.plan.goos + "-" + j.plan.goarch
	name := "go" + j.plan.goTool.Version + target
	leave, err := j.keys.enter(ctx, name)
	if err != nil {
		return "", err
	}
	defer leave()
	s, err := openSeed(j.place("go", name))
	if err == nil && len(s.have) == 0 {
		err = errors.Join(j.dropSeeds(target), os.MkdirAll(s.cache(), 0o700))
	}
	if err == nil {
		err = j.grow(ctx, s, imported)
	}
	if err != nil {
		return "", fmt.Errorf("prepare %s: %w", name, blob.DiskError(err))
	}
	return s.cache(), nil
}

// grow compiles what the seed lacks.
func (j *job) grow(ctx context.Context, s goSeed, imported []string) error {
	var missing []string
	for _, name := range slices.Concat(seedPackages(), imported) {
		if !slices.Contains(s.have, name) && !slices.Contains(missing, name) && j.isStandard(name) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	j.progress(fmt.Sprintf("preparing %s of go%s (once)", summary(missing), j.plan.goTool.Version))
	in, tar, compiled := j.path("seeding"), j.path("seed.tar"), j.path("seed")
	if err := errors.Join(linkTree(s.cache(), filepath.Join(in, cacheSub)), os.Mkdir(compiled, 0o700)); err != nil {
		return err
	}
	request := buildmsg.Request{Go: j.plan.goTool.Path, GOOS: j.plan.goos, GOARCH: j.plan.goarch, Cache: cacheSub, Seed: missing}
	err := j.askGo(ctx, in, request, tar, maxSeed)
	var refused *CompileError
	if errors.As(err, &refused) {
		if len(s.have) == 0 {
			return errors.New(refused.Message)
		}
		// A program that is compiled without them takes longer, or says itself what is wrong with them.
		j.cfg.Log.WarnContext(ctx, "packages of the standard library were not prepared", "packages", missing, "error", refused.Message)
		return nil
	}
	if err == nil {
		err = untar(tar, compiled)
	}
	if err != nil {
		return err
	}
	return s.add(compiled, missing)
}

// isStandard reports whether a program for the plan's target may import a package of the standard library.
func (j *job) isStandard(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "internal" || part == "vendor" || part == "cmd" || strings.ContainsAny(part, ".\\") {
			return false
		}
	}
	if name == "C" || name == "unsafe" || name == "builtin" {
		return false
	}
	root := filepath.Dir(filepath.Dir(j.plan.goTool.Path))
	c := gobuild.Context{GOOS: j.plan.goos, GOARCH: j.plan.goarch, GOROOT: root, Compiler: "gc", ReleaseTags: gobuild.Default.ReleaseTags}
	p, err := c.ImportDir(filepath.Join(root, "src", filepath.FromSlash(name)), 0)
	return err == nil && p.Name != "main"
}

// dropSeeds removes those of toolchains that were on this machine before.
func (j *job) dropSeeds(target string) error {
	entries, err := os.ReadDir(j.place("go"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), target) {
			if err := removeTree(j.place("go", e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// summary lists the first few of many names.
func summary(names []string) string {
	const most = 3
	if len(names) <= most+1 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
