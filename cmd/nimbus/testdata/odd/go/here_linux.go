package main

import (
	"os/exec"
	"syscall"
)

// doHere does what takes processes.
func doHere(deed string) {
	switch deed {
	case "kill":
		signal(syscall.SIGKILL)
	case "segv":
		signal(syscall.SIGSEGV)
	case "fork":
		child := exec.Command("sleep", "1234567")
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := child.Start(); err != nil {
			panic(err)
		}
		answer("fine")
	}
}

func signal(s syscall.Signal) {
	_ = syscall.Kill(syscall.Getpid(), s)
	select {}
}
