// Command suite is the functions of the driver conformance suite in Go: a runtime that speaks the agent protocol
// itself, or, where there is a Lambda Runtime API, a program that is served by it.
package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"nimbus/internal/wire"
)

func main() {
	err := errors.New("a runtime is started with its socket")
	if api := os.Getenv("AWS_LAMBDA_RUNTIME_API"); api != "" {
		err = serveAPI("http://" + api + "/2018-06-01/runtime/")
	} else if conn, opened := wire.Inherited(3); opened == nil {
		err = wire.Serve(conn, wire.HelloMsg{Runtime: "suite"}, &protocol{})
	}
	if err != nil && !errors.Is(err, wire.ErrEnded) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// become notes which function this instance is of.
func (f *functions) become(name string) error {
	switch name {
	case "slow":
		fmt.Println("importing")
		time.Sleep(time.Hour)
	case "missing":
		return errors.New("there is no such function")
	}
	f.name = name
	return nil
}
