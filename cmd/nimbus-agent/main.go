//go:build linux && (amd64 || arm64)

// Command nimbus-agent is the first process of an instance that runs compiled code, and what starts such
// processes. It is embedded in nimbus; users never start it.
package main

import (
	"fmt"
	"os"
	"strings"

	"nimbus/internal/agent"
	"nimbus/internal/driver/sandbox/spawn"
)

func main() {
	switch strings.Join(os.Args[1:], " ") {
	case "zygote":
		spawn.Zygote()
	case "instance":
		spawn.Instance()
	case "serve go":
		serve(agent.Go)
	case "serve custom":
		serve(agent.Custom)
	case "build":
		build()
	}
	fmt.Fprintln(os.Stderr, "nimbus-agent: started by nimbus only")
	os.Exit(2)
}
