package wire

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// TestCredit sends as much as the credit allows and sees it given back as items are consumed.
func TestCredit(t *testing.T) {
	t.Parallel()
	const items, size = 100, 100_000
	meta := `{"kind":"bytes"}`
	c := pair(t, func(r *runtimeSide) {
		r.next(Exec)
		credit := int64(InitialWindow)
		for range items {
			for credit <= 0 {
				var w WindowMsg
				if err := json.Unmarshal(r.next(Window).Payload, &w); err != nil || w.Bytes <= 0 {
					t.Errorf("window of %d, %v", w.Bytes, err)
					return
				}
				credit += w.Bytes
			}
			r.sendMeta(Chunk, 1, meta, strings.Repeat("x", size))
			credit -= int64(metaLengthSize + len(meta) + size)
		}
		r.sendMeta(Resp, 1, `{"ok":true,"streamed":true}`, "")
	})
	seen := 0
	resp, result, err := c.Exec(testContext(t), &ExecMeta{Stream: true}, []byte("1"), func(kind string, raw []byte) error {
		seen++
		if kind != KindBytes || len(raw) != size {
			t.Errorf("item %d: %s of %d bytes", seen, kind, len(raw))
		}
		return nil
	})
	if err != nil || !resp.OK || !resp.Streamed || result != nil || seen != items {
		t.Errorf("got %+v, %d result bytes, %v after %d items", resp, len(result), err, seen)
	}
}

// TestFloodAfterCancel ignores a cancel: without credit given back, that is seen.
func TestFloodAfterCancel(t *testing.T) {
	t.Parallel()
	c := pair(t, func(r *runtimeSide) {
		r.next(Exec)
		chunk := AppendFrame(nil, Chunk, 1, AppendMeta(nil, []byte(`{"kind":"text"}`), make([]byte, InitialWindow/2)))
		for range 4 {
			if _, err := r.conn.Write(chunk); err != nil {
				return
			}
		}
		t.Error("the flood was taken in")
	})
	seen := 0
	_, _, err := c.Exec(testContext(t), &ExecMeta{Stream: true}, []byte("1"), func(string, []byte) error {
		seen++
		return errors.New("no more")
	})
	wantErr(t, err, ErrProtocol)
	if seen != 1 {
		t.Errorf("%d items were handed over", seen)
	}
	c.Close()
}

func TestCancelledStreamLeavesTheConnectionUsable(t *testing.T) {
	t.Parallel()
	c := pair(t, func(r *runtimeSide) {
		r.next(Exec)
		r.sendMeta(Chunk, 1, `{"kind":"json"}`, `1`)
		r.sendMeta(Chunk, 1, `{"kind":"json"}`, `2`)
		r.next(Cancel)
		r.sendMeta(Chunk, 1, `{"kind":"json"}`, `3`)
		r.sendMeta(Resp, 1, `{"ok":true,"streamed":true}`, "")
		echo(r)
	})
	gone := errors.New("the reader went away")
	seen := 0
	_, _, err := c.Exec(testContext(t), &ExecMeta{Stream: true}, []byte("1"), func(string, []byte) error {
		seen++
		return gone
	})
	if err != gone || seen != 1 { //nolint:errorlint // it must come back as it is
		t.Errorf("got %v after %d items", err, seen)
	}
	if _, result, err := c.Exec(testContext(t), &ExecMeta{}, []byte("2"), nil); err != nil || string(result) != "2" {
		t.Errorf("the next call: %q, %v", result, err)
	}
}

// TestTheLastFramesOfOneWhoLeft sees that frames sent before the runtime went away are read, though it
// can't be told anything any more.
func TestTheLastFramesOfOneWhoLeft(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	c := pair(t, func(r *runtimeSide) {
		r.next(Exec)
		r.sendMeta(Chunk, 1, `{"kind":"text"}`, strings.Repeat("x", 100_000))
		r.sendMeta(Resp, 1, `{"ok":true,"streamed":true}`, "")
		r.conn.Close()
		close(left)
	})
	gone := errors.New("no more")
	_, _, err := c.Exec(testContext(t), &ExecMeta{Stream: true}, []byte("1"), func(string, []byte) error {
		<-left
		return gone // so a Cancel is sent
	})
	wantErr(t, err, gone)
}
