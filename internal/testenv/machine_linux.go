package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TinyDisk mounts a file system of the given size in memory, unmounts it when the test ends, and returns
// its directory. The test is skipped unless it runs as root.
func TinyDisk(t testing.TB, bytes int64) string {
	t.Helper()
	RequireRoot(t)
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=700,size="+strconv.FormatInt(bytes, 10)); err != nil {
		t.Fatalf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// Nobody returns a loopback TCP address, host:port, that refuses connections until the test ends: a socket is
// bound to it, so that nobody else can be, and does not listen.
func Nobody(t testing.TB) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("make a socket: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Close(fd); err != nil {
			t.Errorf("close a socket: %v", err)
		}
	})
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatalf("bind a socket: %v", err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatalf("ask for a socket's address: %v", err)
	}
	return fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
}

func missingSandbox() error {
	if err := missingRoot(); err != nil {
		return err
	}
	if err := tryUserNamespace(); err != nil {
		return err
	}
	return tryCgroup()
}

func tryUserNamespace() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the test binary: %w", err)
	}
	cmd := exec.Command(self, "-test.list=^$")
	cmd.Env = []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("this test needs user namespaces (see /proc/sys/user/max_user_namespaces): %w", err)
	}
	_ = cmd.Process.Kill() // that it could be started is all there was to learn
	_ = cmd.Wait()
	return nil
}

// tryCgroup makes a group that the memory controller governs and removes it.
func tryCgroup() error {
	var problems []error
	for _, root := range []string{"/sys/fs/cgroup/memory", "/sys/fs/cgroup"} {
		controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers")) // on version 2 only
		if err == nil && !slices.Contains(strings.Fields(string(controllers)), "memory") {
			err = fmt.Errorf("%s has no memory controller", root)
		} else if err != nil && root != "/sys/fs/cgroup/memory" {
			err = fmt.Errorf("%s is no version 2 hierarchy", root)
		} else if dir, mkdirErr := os.MkdirTemp(root, "nimbus-testenv-"); mkdirErr != nil {
			err = mkdirErr
		} else {
			err = syscall.Rmdir(dir)
		}
		if err == nil {
			return nil
		}
		problems = append(problems, err)
	}
	return fmt.Errorf("this test needs a writable cgroup hierarchy: %w", errors.Join(problems...))
}
