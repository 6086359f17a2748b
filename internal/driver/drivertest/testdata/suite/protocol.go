package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"

	"nimbus/internal/wire"
)

// protocol serves the functions by the agent protocol.
type protocol struct{ functions }

// Init becomes a function.
func (p *protocol) Init(_ context.Context, msg wire.InitMsg) wire.RespMeta {
	for name, value := range msg.Env {
		os.Setenv(name, value)
	}
	if err := errors.Join(p.become(msg.Handler), os.Chdir(msg.CodeDir)); err != nil {
		return wire.RespMeta{Type: "Runtime.HandlerNotFound", Message: err.Error()}
	}
	return wire.RespMeta{OK: true}
}

// Exec runs a call.
func (p *protocol) Exec(_ context.Context, call *wire.Call) (wire.RespMeta, []byte) {
	var chunk func(string) error
	if call.Meta.Stream {
		chunk = func(text string) error { return call.Chunk(wire.KindText, []byte(text)) }
	}
	value, err := p.call(call.Event, chunk)
	if errors.Is(err, errStreamed) {
		return wire.RespMeta{OK: true, Streamed: true}, nil
	}
	var b []byte
	if err == nil {
		b, err = json.Marshal(value)
	}
	if err != nil {
		return wire.RespMeta{Type: "failure", Message: err.Error()}, nil
	}
	return wire.RespMeta{OK: true}, b
}
