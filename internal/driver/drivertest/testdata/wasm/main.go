// Command wasm is the functions of the driver conformance suite that a WASI command can have: the event on stdin,
// the result on stdout, the log on stderr.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

func main() {
	event, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail(err)
	}
	result, err := call(strings.TrimSuffix(os.Getenv("NIMBUS_HANDLER"), ".wasm"), event)
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func call(function string, event []byte) (any, error) {
	number, _ := strconv.Atoi(string(bytes.TrimSpace(event))) // null is 0
	switch function {
	case "echo":
		return json.RawMessage(event), nil
	case "loop":
		fmt.Fprintln(os.Stderr, "looping")
		for number >= 0 {
			number++
		}
	case "allocate":
		return len(bytes.Repeat([]byte("x"), number)), nil
	case "listdir":
		var path string
		if err := json.Unmarshal(event, &path); err != nil {
			return nil, err
		}
		return list(path), nil
	case "read":
		var path string
		if err := json.Unmarshal(event, &path); err != nil {
			return nil, err
		}
		return read(path), nil
	}
	return nil, fmt.Errorf("no function %q", function)
}

// tried is what came of something tried.
type tried struct {
	Value any    `json:"value"`
	Error string `json:"error,omitempty"`
}

func list(path string) tried {
	entries, err := os.ReadDir(path)
	if err != nil {
		return tried{Error: err.Error()}
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return tried{Value: names}
}

func read(path string) tried {
	b, err := os.ReadFile(path)
	if err != nil {
		return tried{Error: err.Error()}
	}
	return tried{Value: string(b[:min(len(b), 4096)])}
}
