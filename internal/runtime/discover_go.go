package runtime

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const oldestGo = "1.21" // the first that compiles for wasip1

// toolchains looks for Go's. The newest is kept: Go compiles what was written for an older one as that did.
func (d *discovery) toolchains(ctx context.Context, cfg Config) error {
	paths, err := goCommands(cfg)
	if err != nil {
		return err
	}
	var all []Toolchain
	asked := map[string]bool{}
	for _, path := range paths {
		target, err := filepath.EvalSymlinks(path)
		if err != nil {
			d.reject(path, fmt.Errorf("a dangling link: %w", err))
			continue
		}
		if asked[target] {
			continue
		}
		asked[target] = true
		t, err := askGo(ctx, target)
		if ctx.Err() != nil {
			return fmt.Errorf("discover toolchains: %w", ctx.Err())
		}
		if err != nil {
			d.reject(path, err)
			continue
		}
		all = append(all, t)
	}
	slices.SortStableFunc(all, func(a, b Toolchain) int { return compareVersions(b.Version, a.Version) })
	for i, t := range all {
		if i == 0 {
			d.found = append(d.found, t)
		} else {
			d.reject(t.Path, fmt.Errorf("go%s is not needed: %s is go%s", t.Version, all[0].Path, all[0].Version))
		}
	}
	return nil
}

// goCommands lists the commands named go, in order of preference.
func goCommands(cfg Config) ([]string, error) {
	named := regexp.MustCompile(`^go$`)
	paths, err := candidates(cfg.SearchDirs, "go", named)
	if err != nil {
		return nil, err
	}
	var bins []string
	for _, root := range cfg.GoRoots {
		bins = append(bins, filepath.Join(root, "bin"))
	}
	more, err := candidates(bins, "go", named)
	return append(paths, more...), err
}

func askGo(ctx context.Context, path string) (Toolchain, error) {
	if err := checkProgram(path); err != nil {
		return Toolchain{}, err
	}
	// Neither settings of a user nor another toolchain, which it might fetch.
	env := []string{"LANG=C.UTF-8", "GOENV=off", "GOTOOLCHAIN=local", "HOME=/nonexistent"}
	said, err := answer(ctx, env, path, "env", "GOVERSION", "GOROOT")
	if err != nil {
		return Toolchain{}, err
	}
	if len(said) != 2 || !strings.HasPrefix(said[0], "go") && !strings.HasPrefix(said[0], "devel") {
		return Toolchain{}, fmt.Errorf("it does not say its version but %.100q", said)
	}
	version, root := strings.TrimPrefix(said[0], "go"), said[1]
	version, _, _ = strings.Cut(version, " ") // 1.22.1 X:experiments
	switch {
	case !regexp.MustCompile(`^1\.\d+(\.\d+)?$`).MatchString(version):
		return Toolchain{}, fmt.Errorf("%s is a pre-release", said[0])
	case compareVersions(version, oldestGo) < 0:
		return Toolchain{}, fmt.Errorf("%s is too old; %s or later is needed", version, oldestGo)
	case !isDir(filepath.Join(root, "src", "runtime")):
		return Toolchain{}, errors.New("the standard library is not with it; on Debian and Ubuntu: apt-get install golang-src")
	}
	t := Toolchain{Language: Go, Version: version, Path: path}
	if !strings.HasPrefix(root, "/usr/") {
		t.Trees = []string{root}
	}
	return t, nil
}

// goRuntime returns what runs compiled programs. It is there without a toolchain too: then it takes those that
// were compiled elsewhere.
func goRuntime(agent string, found []Toolchain) Runtime {
	r := Runtime{Name: "go1", Language: Go, Version: "1", Path: agent, DefaultHandler: "main"}
	if len(found) > 0 {
		r.Version = found[0].Version
		r.Name = "go" + strings.Join(strings.SplitN(r.Version, ".", 3)[:2], ".")
	}
	return r
}
