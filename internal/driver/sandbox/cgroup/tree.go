//go:build linux

package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
)

// Tree is the groups of one installation. Safe for concurrent use between Setup and Teardown.
type Tree struct {
	system *System
	path   string // nimbus/<owner>
	next   atomic.Int64
	server *server // set by Setup
}

// NewTree returns the tree of the owner; nothing is made yet.
func (s *System) NewTree(owner string) *Tree {
	return &Tree{system: s, path: filepath.Join("nimbus", owner)}
}

// Setup makes the tree, so that groups can be added to it, and moves the calling process into its server
// group. What is there already stays.
func (t *Tree) Setup() error {
	// A v2 group that holds processes can't pass controllers on, so the server goes first.
	server, err := t.enterServer()
	if err != nil {
		return fmt.Errorf("set up cgroups: %w", err)
	}
	t.server = server
	for _, h := range t.system.hierarchies() {
		if h.v2 {
			if err := t.delegate(h); err != nil {
				return fmt.Errorf("set up cgroups: %w", err)
			}
		}
		if err := os.MkdirAll(filepath.Join(h.dir, t.path, "instances"), 0o755); err != nil {
			return fmt.Errorf("set up cgroups: %w", err)
		}
	}
	if err := t.server.weigh(); err != nil {
		return fmt.Errorf("set up cgroups: %w", err)
	}
	return nil
}

// delegate hands the controllers down to the groups of instances: in v2 a controller is there only where
// every parent passes it on.
func (t *Tree) delegate(h hierarchy) error {
	var pass []string
	for _, c := range []Controller{Memory, CPU, PIDs} {
		if t.system.at[c] == h {
			pass = append(pass, "+"+string(c))
		}
	}
	if len(pass) == 0 {
		return nil
	}
	dir := h.dir
	for _, part := range strings.Split(filepath.Join(t.path, "instances", "x"), string(filepath.Separator)) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := write(strings.Join(pass, " "), dir, "cgroup.subtree_control"); err != nil {
			return fmt.Errorf("pass controllers on in %s (a v2 group that holds processes can't; move them to a child group): %w", dir, err)
		}
		dir = filepath.Join(dir, part)
	}
	return nil
}

// Teardown moves the calling process back and removes the tree; groups must be gone.
func (t *Tree) Teardown(ctx context.Context) error {
	if err := t.server.leave(); err != nil {
		return err
	}
	var errs []error
	for _, h := range t.system.hierarchies() {
		for _, sub := range []string{"instances", "server", ""} {
			errs = append(errs, rmdir(ctx, filepath.Join(h.dir, t.path, sub)))
		}
		// Other installations may have theirs beside ours.
		_ = os.Remove(filepath.Join(h.dir, "nimbus"))
	}
	return errors.Join(errs...)
}

// Swept counts what Sweep ended and removed.
type Swept struct {
	Processes int
	Groups    int
}

// Sweep ends every process in the tree and removes the tree. It is called before Setup.
func (t *Tree) Sweep(ctx context.Context) (Swept, error) {
	var groups []string
	names := make(map[string]bool) // a group is one whatever the number of hierarchies it is in
	for _, h := range t.system.hierarchies() {
		top := filepath.Join(h.dir, t.path)
		found, err := below(top)
		if err != nil {
			return Swept{}, fmt.Errorf("sweep cgroups: %w", err)
		}
		for _, dir := range found {
			names[strings.TrimPrefix(dir, top)] = true
		}
		groups = append(groups, found...)
	}
	killed, err := killAll(ctx, groups)
	swept := Swept{Processes: killed, Groups: len(names)}
	if err != nil {
		return swept, fmt.Errorf("sweep cgroups: %w", err)
	}
	for _, dir := range groups {
		if err := rmdir(ctx, dir); err != nil {
			return swept, fmt.Errorf("sweep cgroups: %w", err)
		}
	}
	for _, h := range t.system.hierarchies() {
		_ = os.Remove(filepath.Join(h.dir, "nimbus")) // other installations may have theirs in it
	}
	return swept, nil
}

// below lists the groups under and including dir, children first.
func below(dir string) ([]string, error) {
	var groups []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry.IsDir() {
			groups = append(groups, path)
		}
		return nil
	})
	slices.Reverse(groups)
	return groups, err
}
