// Command nimbus-agent is the first process of an instance that runs compiled code, and what starts such
// processes. It is embedded in nimbus; users never start it.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "nimbus-agent: started by nimbus only")
	os.Exit(2)
}
