// Command nimbus-wasm runs a WebAssembly function inside an instance. It is embedded in nimbus; users never start it.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "nimbus-wasm: started by nimbus only")
	os.Exit(2)
}
