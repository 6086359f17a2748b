//go:build !linux

package build

import "os/exec"

// stageUser is whom commands run as; 0 = as the server.
func stageUser() int { return 0 }

// runAlone runs a command.
func runAlone(cmd *exec.Cmd) error { return cmd.Run() }
