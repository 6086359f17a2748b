// Command hello-wasm greets: it reads the event, JSON, from stdin and writes its answer to stdout.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	event := struct {
		Name string `json:"name"`
	}{Name: "world"}
	if err := json.NewDecoder(os.Stdin).Decode(&event); err != nil {
		fmt.Fprintln(os.Stderr, "read the event:", err)
		os.Exit(1)
	}
	answer := map[string]string{"message": "Hello, " + event.Name + "!"}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		fmt.Fprintln(os.Stderr, "write the answer:", err)
		os.Exit(1)
	}
}
