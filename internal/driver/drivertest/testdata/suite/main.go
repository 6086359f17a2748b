// Command suite is the functions of the driver conformance suite in Go, as a runtime that speaks the agent
// protocol itself.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"nimbus/internal/wire"
)

func main() {
	conn, err := wire.Inherited(3)
	if err == nil {
		err = wire.Serve(conn, wire.HelloMsg{Runtime: "suite"}, &functions{})
	}
	if err != nil && !errors.Is(err, wire.ErrEnded) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Init notes which function this instance is of.
func (f *functions) Init(_ context.Context, msg wire.InitMsg) wire.RespMeta {
	switch msg.Handler {
	case "slow":
		fmt.Println("importing")
		time.Sleep(time.Hour)
	case "missing":
		return wire.RespMeta{Type: "Runtime.HandlerNotFound", Message: "missing"}
	}
	f.name = msg.Handler
	if err := os.Chdir(msg.CodeDir); err != nil {
		return wire.RespMeta{Type: "failure", Message: err.Error()}
	}
	for name, value := range msg.Env {
		os.Setenv(name, value)
	}
	return wire.RespMeta{OK: true}
}

// Exec runs a call.
func (f *functions) Exec(_ context.Context, call *wire.Call) (wire.RespMeta, []byte) {
	value, err := f.call(call.Event, call)
	switch {
	case errors.Is(err, errStreamed):
		return wire.RespMeta{OK: true, Streamed: true}, nil
	case err != nil:
		return wire.RespMeta{Type: "failure", Message: err.Error()}, nil
	}
	b, err := json.Marshal(value)
	if err != nil {
		return wire.RespMeta{Type: "failure", Message: err.Error()}, nil
	}
	return wire.RespMeta{OK: true}, b
}
