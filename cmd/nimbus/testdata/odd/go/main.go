// What strangers do in a program that reads stdin: the event says which of it.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

func main() {
	if os.Getenv("AT_IMPORT") == "exit" {
		fmt.Fprintln(os.Stderr, "not today")
		os.Exit(9)
	}
	var event struct{ Do string }
	if err := json.NewDecoder(os.Stdin).Decode(&event); err != nil {
		panic(err)
	}
	do(event.Do)
}

func do(deed string) {
	switch deed {
	case "value":
		answer(42)
	case "trace":
		context, err := os.ReadFile(os.Getenv("NIMBUS_CONTEXT_FILE"))
		if err != nil {
			panic(err)
		}
		answer(string(context))
	case "nothing":
	case "twice":
		fmt.Println(`"one" "two"`)
	case "text":
		fmt.Println("merely text")
	case "panic":
		panic(errors.New("no such thing"))
	case "nil":
		var none *int
		answer(*none)
	case "exit":
		fmt.Fprintln(os.Stderr, "giving up")
		os.Exit(7)
	case "never":
		fmt.Println(`"too early"`)
		for {
		}
	case "memory":
		fill()
	case "recurse":
		answer(recurse(1))
	case "large":
		answer(strings.Repeat("x", 7<<20))
	case "print":
		fmt.Fprint(os.Stderr, strings.Repeat("line of a megabyte\n", 55_000))
		answer("fine")
	case "disk":
		fillDisk()
	case "three":
		three := os.NewFile(3, "three")
		_, _ = three.Write(bytes.Repeat([]byte{0xff}, 64))
		_ = three.Close()
		answer("fine")
	default:
		doHere(deed)
	}
}

func answer(v any) {
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		panic(err)
	}
}

func fill() {
	for all := [][]byte{}; ; {
		all = append(all, bytes.Repeat([]byte{1}, 16<<20))
	}
}

func fillDisk() {
	for i := 0; ; i++ {
		if err := os.WriteFile(fmt.Sprint("/tmp/", i), make([]byte, 1<<20), 0o600); err != nil {
			panic(err)
		}
	}
}

func recurse(n int) int { return recurse(n+1) + 1 }
