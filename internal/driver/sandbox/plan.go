//go:build linux && (amd64 || arm64)

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"nimbus/internal/driver/sandbox/spawn"
	"nimbus/internal/runtime"
)

// Where things are inside an instance.
const (
	codeDir    = "/var/function"
	zygotePath = runtime.Dir + "/zygote.py"
	hostName   = "nimbus"
)

// plan describes the root file system of a zygote and all it forks. The init process carries it out.
type plan struct {
	Hostname string
	Dirs     []string          // made in order
	Files    map[string]string // path → contents
	Links    map[string]string // path → target
	Trees    []shownTree       // mounted in order; the n-th is descriptor firstTree+n
	Exec     []string          // the zygote's command line
	Env      []string          // and environment
}

// shownTree is a file or directory of the host that is shown read-only.
type shownTree struct {
	Path string // inside
	File bool
}

// mountPlan is a plan with what it needs from the host. Host paths are opened by the server, which may go
// where the init's user id may not: an interpreter below /root, say.
type mountPlan struct {
	plan
	fds   []*os.File
	setup spawn.Setup // what the zygote is told once it runs
}

func (m *mountPlan) close() {
	for _, f := range m.fds {
		f.Close()
	}
}

// shown lists the host directories that instances see at the same path, where they exist.
func shown() []string {
	return []string{"/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin",
		"/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/alternatives"}
}

// devices lists the device files instances have.
func devices() []string { return []string{"null", "zero", "full", "random", "urandom"} }

// visible lists the host directories that instances of a runtime see.
func visible(rt runtime.Runtime) []string { return append(shown(), rt.Trees...) }

// under returns which of dirs holds path, "" if none.
func under(path string, dirs []string) string {
	for _, dir := range dirs {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return dir
		}
	}
	return ""
}

// newPlan reads the host and opens what a zygote of the runtime is to see of it. agent is the host's path of
// nimbus-agent, which is the zygote of what no interpreter forks.
func newPlan(rt runtime.Runtime, agent string) (*mountPlan, error) {
	command, err := rt.Command()
	if err != nil {
		return nil, err
	}
	m := &mountPlan{plan: plan{
		Hostname: hostName,
		Dirs: []string{"/proc", "/tmp", "/dev", "/dev/shm", "/etc", "/run", runtime.Dir, "/var", codeDir,
			"/var/tmp", "/home", "/root", "/opt", "/mnt"},
		Files: map[string]string{
			"/etc/passwd":      "root:x:0:0:root:/root:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
			"/etc/group":       "root:x:0:\nnogroup:x:65534:\n",
			"/etc/hosts":       "127.0.0.1 localhost " + hostName + "\n::1 localhost ip6-localhost ip6-loopback\n",
			"/etc/resolv.conf": "# This instance has no network.\n",
			"/etc/hostname":    hostName + "\n",
		},
		Links: map[string]string{
			"/var/task": codeDir, "/var/run": "/run",
			"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0",
			"/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2",
		},
	}}
	for name, contents := range command.Files {
		m.Files[runtime.Dir+"/"+name] = contents
	}
	if command.Bootstrap != "" {
		m.fork(rt, command)
	} else {
		err = m.execute(rt, command, agent)
	}
	if err == nil {
		err = m.read(rt)
	}
	if err != nil {
		m.close()
		return nil, fmt.Errorf("plan the root file system: %w", err)
	}
	return m, nil
}

// fork makes the zygote an interpreter that has the runtime's bootstrap loaded.
func (m *mountPlan) fork(rt runtime.Runtime, command runtime.Command) {
	m.Files[zygotePath] = zygoteSource
	// -I and -S: nothing of the host's environment, user or site packages.
	m.Exec, m.Env = []string{rt.Path, "-I", "-S", zygotePath}, command.Env
	m.setup.Bootstrap = command.Bootstrap
}

// execute makes the zygote the agent, and shows it and the program it is to start.
func (m *mountPlan) execute(rt runtime.Runtime, command runtime.Command, agent string) error {
	if agent == "" {
		return fmt.Errorf("instances of %s are started by nimbus-agent, which this nimbus was built without", rt.Name)
	}
	m.Exec = []string{runtime.Dir + "/" + filepath.Base(agent), "zygote"}
	m.setup.Argv, m.setup.Env = command.Argv, command.Env
	programs := []string{agent}
	if command.Program != "" && command.Program != agent {
		programs = append(programs, command.Program)
	}
	for _, program := range programs {
		inside := shownTree{Path: runtime.Dir + "/" + filepath.Base(program), File: true}
		if err := m.add(program, inside, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV); err != nil {
			return err
		}
	}
	return nil
}

func (m *mountPlan) read(rt runtime.Runtime) error {
	for _, name := range []string{"/etc/ld.so.cache", "/etc/localtime", "/etc/nsswitch.conf", "/etc/mime.types"} {
		err := m.add(name, shownTree{Path: name, File: true}, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, dir := range visible(rt) {
		if err := m.show(dir); err != nil {
			return err
		}
	}
	for _, name := range devices() {
		if err := m.add("/dev/"+name, shownTree{Path: "/dev/" + name, File: true}, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC); err != nil {
			return err
		}
	}
	return nil
}

// show repeats a directory of the host, or the link it is.
func (m *mountPlan) show(dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(dir)
		if err != nil {
			return err
		}
		m.Links[dir] = target
		return nil
	}
	return m.add(dir, shownTree{Path: dir}, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
}

// add opens a detached, read-only copy of the mounts at a path of the host.
func (m *mountPlan) add(path string, t shownTree, attributes uint64) error {
	fd, err := openTree(path, attributes)
	if err != nil {
		return err
	}
	m.fds = append(m.fds, os.NewFile(uintptr(fd), path))
	m.Trees = append(m.Trees, t)
	return nil
}

// openTree returns a descriptor of a detached copy of the mounts at path, read-only and with the attributes.
// Unlike a directory's it is no way into the file system around it.
func openTree(path string, attributes uint64) (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return -1, fmt.Errorf("open tree %s: %w", path, err)
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | attributes, Propagation: unix.MS_PRIVATE}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("make tree %s read-only: %w", path, err)
	}
	return fd, nil
}
