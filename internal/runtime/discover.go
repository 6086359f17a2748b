package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	askTimeout = 10 * time.Second // an interpreter starts in 10 ms; a cold disk or a busy machine takes longer
	oldest     = "3.8"
	elfMagic   = "\x7fELF"

	// askVersion makes an interpreter print what Runtime says about it.
	askVersion = `import sys; print(sys.implementation.name, "%d.%d.%d" % sys.version_info[:3], ` +
		`sys.version_info[3], sys.base_prefix, sep="\n")`
)

// Config says where to look.
type Config struct {
	SearchDirs []string // in order of preference; may hold wildcards
}

// WithDefaults fills in where distributions put interpreters.
func (c Config) WithDefaults() Config {
	if len(c.SearchDirs) == 0 {
		c.SearchDirs = []string{"/usr/bin", "/usr/local/bin", "/opt/*/bin"}
	}
	return c
}

// Discover finds the interpreters of this machine and asks each for its version, once. Of several with one
// name the first found is taken. What is there and can't be used is in the Set's Rejected; an error means
// that ctx ended or a search directory's pattern is malformed.
func Discover(ctx context.Context, cfg Config) (*Set, error) {
	paths, err := candidates(cfg.WithDefaults().SearchDirs)
	if err != nil {
		return nil, err
	}
	var runtimes []Runtime
	var rejected []Rejected
	asked := map[string]bool{}
	for _, path := range paths {
		r, err := inspect(ctx, path, asked)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("discover runtimes: %w", ctx.Err())
		}
		if errors.Is(err, errAsked) {
			continue
		}
		same := slices.IndexFunc(runtimes, func(other Runtime) bool { return other.Name == r.Name })
		if err == nil && same >= 0 {
			err = fmt.Errorf("%s is already %s", r.Name, runtimes[same].Path)
		}
		if err != nil {
			rejected = append(rejected, Rejected{Path: path, Reason: err.Error()})
			continue
		}
		runtimes = append(runtimes, r)
	}
	set := NewSet(runtimes...)
	set.rejected = rejected
	return set, nil
}

// candidates lists the files named like an interpreter, in order of preference.
func candidates(dirs []string) ([]string, error) {
	named := regexp.MustCompile(`^python3(\.\d+)?$`)
	var paths []string
	for _, dir := range dirs {
		found, err := filepath.Glob(filepath.Join(dir, "python3*"))
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
func inspect(ctx context.Context, path string, asked map[string]bool) (Runtime, error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Runtime{}, fmt.Errorf("a dangling link: %w", err)
	}
	if asked[target] {
		return Runtime{}, errAsked
	}
	asked[target] = true
	if err := checkELF(target); err != nil {
		return Runtime{}, err
	}
	return ask(ctx, target)
}

// checkELF refuses what is no program: a shim is a script that starts another interpreter, which the root of
// an instance does not hold, and it costs a hundred milliseconds.
func checkELF(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	magic := make([]byte, len(elfMagic))
	if _, err := io.ReadFull(f, magic); err != nil || string(magic) != elfMagic {
		return errors.New("not a program but a script, such as a version manager's shim")
	}
	return nil
}

func ask(ctx context.Context, path string) (Runtime, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-I", "-S", "-c", askVersion)
	cmd.Env = []string{"LANG=C.UTF-8"}
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return Runtime{}, fmt.Errorf("it does not start: %w: %.200s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	said := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(said) != 4 {
		return Runtime{}, fmt.Errorf("it does not say its version but %.100q", out)
	}
	implementation, version, level, prefix := said[0], said[1], said[2], said[3]
	switch {
	case implementation != "cpython":
		return Runtime{}, fmt.Errorf("it is %s; only CPython is supported", implementation)
	case level != "final":
		return Runtime{}, fmt.Errorf("%s is a pre-release (%s)", version, level)
	case compareVersions(version, oldest) < 0:
		return Runtime{}, fmt.Errorf("%s is too old; %s or later is needed", version, oldest)
	}
	name := "python" + version[:strings.LastIndex(version, ".")]
	return Runtime{
		Name: name, Language: Python, Version: version, Path: path, Trees: installation(path, prefix), DefaultHandler: "handler.handle",
	}, nil
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
