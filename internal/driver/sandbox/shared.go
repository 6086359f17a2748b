//go:build linux && (amd64 || arm64)

package sandbox

import (
	"context"
	"errors"
	"fmt"

	"nimbus/internal/driver"
	"nimbus/internal/wire"
)

// invokeShared runs one of several calls at once. Memory and processor time are those of all of them, so nothing is
// said about the call's.
func (i *instance) invokeShared(ctx context.Context, mux *wire.Mux, call *driver.Call) (driver.Outcome, error) {
	to := wire.Sink{Chunk: call.Chunk}
	if call.Output != nil {
		to.Log = func(stream string, p []byte) { call.Output(streamOf(stream), p) }
	}
	resp, result, err := mux.Exec(ctx, &call.Meta, call.Event, to)
	if errors.Is(err, wire.ErrUnsent) && ctx.Err() == nil {
		return driver.Outcome{}, fmt.Errorf("%w: %w", driver.ErrNotSent, i.translate(ctx, err))
	}
	i.output.drain()
	return driver.Outcome{Resp: resp, Result: result}, i.translate(ctx, err)
}

func streamOf(name string) driver.Stream {
	if name == wire.StreamStderr {
		return driver.Stderr
	}
	return driver.Stdout
}

// awaitCalls returns when no call is under way, of an instance that has ended.
func (i *instance) awaitCalls() {
	i.busy.Lock()
	defer i.busy.Unlock()
	if mux := i.mux.Load(); mux != nil {
		mux.Wait()
	}
}

// disconnect makes every call under way return.
func (i *instance) disconnect() {
	if mux := i.mux.Load(); mux != nil {
		_ = mux.Close()
		return
	}
	_ = i.conn.Close()
}
