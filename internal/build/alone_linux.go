package build

import (
	"os"
	"os/exec"
	goruntime "runtime"
	"syscall"
)

// nobody is the user without rights on every Linux.
const nobody = 65534

// stageUser is whom commands run as; 0 = as the server, which has no rights to give up.
func stageUser() int {
	if os.Geteuid() == 0 {
		return nobody
	}
	return 0
}

// runAlone runs a command as that user, in a process group that ends with its context, and with the server. The
// parent-death signal is the thread's that started it, so that thread waits.
func runAlone(cmd *exec.Cmd) error {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if id := stageUser(); id > 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(id), Gid: uint32(id)}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd.Run()
}
