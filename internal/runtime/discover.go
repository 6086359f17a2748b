package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"nimbus/internal/program"
)

// askTimeout bounds a question. An interpreter starts in 10 to 50 ms; a cold disk or a busy machine takes longer.
const askTimeout = 10 * time.Second

// Config says where to look, and what Nimbus brings along.
type Config struct {
	SearchDirs []string    // directories of programs in order of preference; may hold wildcards
	GoRoots    []string    // directories of Go toolchains beside those that a go in SearchDirs belongs to; may hold wildcards
	Programs   program.Set // what runs go, custom and wasm; a language without its program is rejected
	Version    string      // of Nimbus, for the runtimes that it brings along
}

// WithDefaults fills in where distributions put interpreters and toolchains. What a version manager installs
// lies below somebody's home directory and is found only when it is named here.
func (c Config) WithDefaults() Config {
	if len(c.SearchDirs) == 0 {
		c.SearchDirs = []string{"/usr/bin", "/usr/local/bin", "/opt/*/bin"}
	}
	if len(c.GoRoots) == 0 {
		c.GoRoots = []string{"/usr/local/go", "/usr/lib/go-1.*", "/usr/lib/go", "/usr/lib/golang", "/opt/go*"}
	}
	return c
}

// Discover finds the interpreters and toolchains of this machine and asks each for its version, once. Of several
// with one name the first found is taken. What is there and can't be used is in the Set's Rejected; an error
// means that ctx ended or a search directory's pattern is malformed.
func Discover(ctx context.Context, cfg Config) (*Set, error) {
	cfg = cfg.WithDefaults()
	var d discovery
	for _, f := range []finder{
		{files: "python3*", named: regexp.MustCompile(`^python3(\.\d+)?$`), ask: askPython},
		{files: "node*", named: regexp.MustCompile(`^node(js)?(-?\d+)?$`), ask: askNode},
	} {
		if err := d.interpreters(ctx, cfg.SearchDirs, f); err != nil {
			return nil, err
		}
	}
	if err := d.toolchains(ctx, cfg); err != nil {
		return nil, err
	}
	d.brought(cfg)
	set := NewSet(d.runtimes...)
	set.rejected, set.toolchains = d.rejected, d.found
	return set, nil
}

// finder knows the interpreters of one language.
type finder struct {
	files string         // pattern of their file names
	named *regexp.Regexp // and the names in full
	ask   func(ctx context.Context, path string) (Runtime, error)
}

// discovery is what has been found so far.
type discovery struct {
	runtimes []Runtime
	found    []Toolchain
	rejected []Rejected
}

func (d *discovery) reject(path string, reason error) {
	d.rejected = append(d.rejected, Rejected{Path: path, Reason: reason.Error()})
}

// interpreters looks for those of one language.
func (d *discovery) interpreters(ctx context.Context, dirs []string, f finder) error {
	paths, err := candidates(dirs, f.files, f.named)
	if err != nil {
		return err
	}
	asked := map[string]bool{}
	for _, path := range paths {
		r, err := inspect(ctx, path, asked, f.ask)
		if ctx.Err() != nil {
			return fmt.Errorf("discover runtimes: %w", ctx.Err())
		}
		if errors.Is(err, errAsked) {
			continue
		}
		same := slices.IndexFunc(d.runtimes, func(other Runtime) bool { return other.Name == r.Name })
		if err == nil && same >= 0 {
			err = fmt.Errorf("%s is already %s", r.Name, d.runtimes[same].Path)
		}
		if err != nil {
			d.reject(path, err)
			continue
		}
		d.runtimes = append(d.runtimes, r)
	}
	return nil
}

// brought adds the runtimes of the programs that Nimbus brings along.
func (d *discovery) brought(cfg Config) {
	agent, wasm := cfg.Programs.Agent, cfg.Programs.Wasm
	if agent == "" {
		d.reject("nimbus-agent", errors.New("this nimbus was built without it; it is what runs go and custom"))
	} else {
		d.runtimes = append(d.runtimes, goRuntime(agent, d.found), Runtime{
			Name: "custom", Language: Custom, Version: cfg.Version, Path: agent, DefaultHandler: "bootstrap",
		})
	}
	if wasm == "" {
		d.reject("nimbus-wasm", errors.New("this nimbus was built without it; it is what runs wasm"))
	} else {
		d.runtimes = append(d.runtimes, Runtime{
			Name: "wasm", Language: Wasm, Version: cfg.Version, Path: wasm, DefaultHandler: "handler.wasm",
		})
	}
}

// candidates lists the files named like an interpreter, in order of preference.
func candidates(dirs []string, files string, named *regexp.Regexp) ([]string, error) {
	var paths []string
	for _, dir := range dirs {
		found, err := filepath.Glob(filepath.Join(dir, files))
		if err != nil {
			return nil, fmt.Errorf("search directory %q: %w", dir, err)
		}
		for _, path := range found {
			if named.MatchString(filepath.Base(path)) {
				paths = append(paths, path)
			}
		}
	}
	return paths, nil
}

// errAsked says that a path leads to an interpreter that another path led to before.
var errAsked = errors.New("asked before")

// inspect finds the interpreter behind path and asks it what it is.
func inspect(
	ctx context.Context, path string, asked map[string]bool, ask func(context.Context, string) (Runtime, error),
) (Runtime, error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Runtime{}, fmt.Errorf("a dangling link: %w", err)
	}
	if asked[target] {
		return Runtime{}, errAsked
	}
	asked[target] = true
	if err := checkProgram(target); err != nil {
		return Runtime{}, err
	}
	return ask(ctx, target)
}

// answer runs a program that is asked what it is, in an environment of its own, and returns the lines it prints.
func answer(ctx context.Context, env []string, command ...string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = env
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("it does not start: %w: %.200s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n"), nil
}

// installation lists the directories of one that lies outside the system's: …/bin and what belongs to it, no
// more of what lies around.
func installation(path, prefix string) []string {
	if strings.HasPrefix(path, "/usr/") {
		return nil
	}
	var trees []string
	for _, sub := range []string{"bin", "lib", "lib64"} {
		if dir := filepath.Join(prefix, sub); isDir(dir) {
			trees = append(trees, dir)
		}
	}
	return trees
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
