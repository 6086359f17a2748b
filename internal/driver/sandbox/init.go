//go:build linux && (amd64 || arm64)

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"nimbus/internal/driver/sandbox/spawn"
)

const (
	initName  = "nimbus-sandbox-init" // argv[0] of the server's own binary when it is to become a zygote
	firstTree = spawn.Control + 1
	rootSize  = "16m" // of the zygote's root file system; what it holds are small files
)

// IsInit reports whether this process was started by a Driver to become a zygote. main and every TestMain
// ask it first, and call Init if so.
func IsInit() bool { return len(os.Args) > 0 && os.Args[0] == initName }

// Init builds the root file system in the namespaces this process was started in and becomes the zygote. It
// never returns. A failure goes to the driver in one message on the control socket.
func Init() {
	runtime.LockOSThread()
	err := becomeZygote()
	_ = unix.Send(spawn.Control, spawn.Reply{Kind: spawn.NotForked, Text: err.Error()}.Append(nil), 0)
	os.Exit(1)
}

func becomeZygote() error {
	// A descriptor more than needed would stay open in the zygote.
	if err := unix.CloseRange(spawn.Control, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close descriptors: %w", err)
	}
	buffer := make([]byte, spawn.MaxMessage)
	n, err := unix.Read(spawn.Control, buffer)
	if err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	var p plan
	if err := json.Unmarshal(buffer[:n], &p); err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	if err := p.build(); err != nil {
		return err
	}
	if err := restrict(p.Hostname); err != nil {
		return err
	}
	if len(os.Args) > 1 && mode(os.Args[1]) == modeProbe {
		_ = unix.Send(spawn.Control, spawn.Reply{Kind: spawn.Ready}.Append(nil), 0)
		os.Exit(0)
	}
	// The control socket alone goes on.
	if _, err := unix.FcntlInt(spawn.Control, unix.F_SETFD, 0); err != nil {
		return fmt.Errorf("keep the control socket: %w", err)
	}
	err = unix.Exec(p.Exec[0], p.Exec, p.Env)
	return fmt.Errorf("start %s: %w", p.Exec[0], err)
}

// build makes the root and enters it.
func (p *plan) build() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	// /tmp is there on every machine and can be reached by any user; what it holds isn't needed here.
	const root = "/tmp"
	if err := unix.Mount("tmpfs", root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size="+rootSize); err != nil {
		return fmt.Errorf("mount the root: %w", err)
	}
	if err := p.populate(root); err != nil {
		return err
	}
	// Only while the host's /proc is in sight does the kernel allow a new one.
	if err := unix.Mount("proc", root+"/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc in a user namespace (refused where parts of the host's are hidden, as in most containers): %w", err)
	}
	if err := unix.Chdir(root); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let go of the host's root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	flags := uintptr(unix.MS_REMOUNT | unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV)
	if err := unix.Mount("", "/", "", flags, ""); err != nil {
		return fmt.Errorf("make the root read-only: %w", err)
	}
	return nil
}

func (p *plan) populate(root string) error {
	for _, dir := range p.Dirs {
		if err := os.MkdirAll(root+dir, 0o755); err != nil {
			return fmt.Errorf("populate the root: %w", err)
		}
	}
	for path, contents := range p.Files {
		if err := os.WriteFile(root+path, []byte(contents), 0o644); err != nil {
			return fmt.Errorf("populate the root: %w", err)
		}
	}
	for path, target := range p.Links {
		if err := os.Symlink(target, root+path); err != nil {
			return fmt.Errorf("populate the root: %w", err)
		}
	}
	for i, t := range p.Trees {
		if err := mountTree(firstTree+i, root+t.Path, t.File); err != nil {
			return err
		}
	}
	return nil
}

func mountTree(fd int, target string, file bool) error {
	err := os.MkdirAll(filepath.Dir(target), 0o755)
	if err == nil && file {
		err = os.WriteFile(target, nil, 0o644)
	} else if err == nil {
		err = os.MkdirAll(target, 0o755)
	}
	if err == nil {
		err = unix.MoveMount(fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
	}
	if err != nil {
		return fmt.Errorf("show %s: %w", target, err)
	}
	return nil
}

// restrict sets what zygote and instances share.
func restrict(hostname string) error {
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	// The server's session keyring, which a descendant could else search.
	if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); err != nil && !errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("leave the keyring: %w", err)
	}
	for _, l := range []struct {
		resource int
		limit    uint64
	}{
		{unix.RLIMIT_CORE, 1}, // a program that core dumps are piped to is started in spite of a 0, but not of a 1
		{unix.RLIMIT_NOFILE, 1024},
		{unix.RLIMIT_MEMLOCK, 64 << 10},
		{unix.RLIMIT_MSGQUEUE, 0},
		{unix.RLIMIT_SIGPENDING, 256}, // all that instances have queued counts as root's, who has a hundred thousand
		{unix.RLIMIT_RTPRIO, 0},       // whatever the server may
		{unix.RLIMIT_NICE, 0},
	} {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.limit, Max: l.limit}); err != nil {
			return fmt.Errorf("set limits: %w", err)
		}
	}
	unix.Umask(0o022)
	return nil
}
