// A WASI command made by Go's compiler.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

func main() {
	var event struct{ Do, Path, Text string }
	if err := json.NewDecoder(os.Stdin).Decode(&event); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var result any
	var err error
	switch event.Do {
	case "read":
		var content []byte
		content, err = os.ReadFile(event.Path)
		result = string(content)
	case "write":
		err = os.WriteFile(event.Path, []byte(event.Text), 0o600)
	case "list":
		var names []string
		entries, failed := os.ReadDir(event.Path)
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		result, err = strings.Join(names, " "), failed
	case "context":
		var content []byte
		content, err = os.ReadFile(os.Getenv("NIMBUS_CONTEXT_FILE"))
		result = json.RawMessage(content)
	case "panic":
		panic("oh no")
	case "memory":
		var all [][]byte
		for {
			all = append(all, make([]byte, 1<<20))
		}
	default:
		result = "Hello, " + event.Text
	}
	if err != nil {
		result = "error: " + err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		panic(err)
	}
}
