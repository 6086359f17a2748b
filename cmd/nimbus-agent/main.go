//go:build linux && (amd64 || arm64)

// Command nimbus-agent is the first process of an instance that runs compiled code, and what starts such
// processes. It is embedded in nimbus; users never start it.
package main

import (
	"fmt"
	"os"

	"nimbus/internal/driver/sandbox/spawn"
)

func main() {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case "zygote":
			spawn.Zygote()
		case "instance":
			spawn.Instance()
		}
	}
	fmt.Fprintln(os.Stderr, "nimbus-agent: started by nimbus only")
	os.Exit(2)
}
