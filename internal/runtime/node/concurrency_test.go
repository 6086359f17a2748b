package node_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"nimbus/internal/runtime/runtimetest"
	"nimbus/internal/wire"
)

// TestCallsAtOnce speaks the protocol by hand: calls are answered as they end, not as they came.
func TestCallsAtOnce(t *testing.T) {
	t.Parallel()
	for name, declaration := range map[string]string{"any number": "true", "so many": "3"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := blank(t)
			i.WriteFile(t, "handler.mjs", "export const instanceConcurrency = "+declaration+`;
const waiting = {};
const cases = {
  wait: ({ name }) => new Promise((go) => (waiting[name] = go)),
  free: ({ name, value }) => (waiting[name](value), Object.keys(waiting)),
  fail: async () => { await null; throw new TypeError('one of several'); },
  unheard: () => { setTimeout(() => { throw new RangeError('whose?'); }, 1); return new Promise((go) => setTimeout(go, 1000)); },
  echo: ({ value }) => value,
};
export const handle = (event) => cases[event.f](event);
`)
			if meta := i.Init(t, wire.InitMsg{Concurrency: 3}); !meta.OK {
				t.Fatalf("init: %+v", meta)
			}
			p := peer{t: t, socket: i.Socket, frames: wire.NewReader(i.Socket)}
			p.exec(1, `{"f":"wait","name":"a"}`)
			p.exec(2, `{"f":"wait","name":"b"}`)
			p.exec(3, `{"f":"free","name":"a","value":"first"}`)
			p.answers(map[uint64]string{1: `{"ok":true}"first"`, 3: `{"ok":true}["a","b"]`})
			p.exec(4, `{"f":"fail"}`)
			p.answers(map[uint64]string{4: `"type":"TypeError","message":"one of several"`})
			large := strings.Repeat("x", 3<<20)
			p.exec(5, `{"f":"echo","value":"`+large+`"}`)
			p.exec(6, `{"f":"echo","value":6}`)
			p.answers(map[uint64]string{5: `{"ok":true}"` + large + `"`, 6: `{"ok":true}6`})
			p.send(wire.Ping, 9, "")
			if f, err := p.frames.Next(); err != nil || f.Type != wire.Pong || f.Invocation != 9 {
				t.Fatalf("got %+v, %v, want a pong", f, err)
			}
			// An error that nothing catches is the one call's that it came from; the others are answered.
			p.exec(7, `{"f":"unheard"}`)
			p.answers(map[uint64]string{7: `"type":"RangeError","message":"whose?"`})
			p.exec(8, `{"f":"free","name":"b","value":"second"}`)
			p.answers(map[uint64]string{2: `{"ok":true,"ending":true}"second"`, 8: `{"ok":true,"ending":true}["a","b"]`})
			p.send(wire.Stop, 0, "") // no call is on its way
			_ = i.Cmd.Wait()
			if code := i.Cmd.ProcessState.ExitCode(); code != 1 {
				t.Errorf("exit status %d after an error that nothing caught", code)
			}
		})
	}
}

// peer is the platform's side of a connection on which calls run at once.
type peer struct {
	t      *testing.T
	socket interface{ Write(p []byte) (int, error) }
	frames *wire.Reader
}

func (p peer) send(kind wire.Type, number uint64, payload string) {
	p.t.Helper()
	if _, err := p.socket.Write(wire.AppendFrame(nil, kind, number, []byte(payload))); err != nil {
		p.t.Fatal(err)
	}
}

func (p peer) exec(number uint64, event string) {
	p.t.Helper()
	meta := fmt.Sprintf(`{"request_id":"r%d","deadline_ms":0}`, number)
	p.send(wire.Exec, number, string(wire.AppendMeta(nil, []byte(meta), []byte(event))))
}

// answers reads as many answers as are wanted, in any order: what each holds, by number.
func (p peer) answers(want map[uint64]string) {
	p.t.Helper()
	for range len(want) {
		f, err := p.frames.Next()
		if err != nil || f.Type != wire.Resp {
			p.t.Fatalf("got type %d, %v", f.Type, err)
		}
		meta, raw, err := wire.SplitMeta(f.Payload)
		if got := string(meta) + string(raw); err != nil || want[f.Invocation] == "" || !strings.Contains(got, want[f.Invocation]) {
			p.t.Errorf("call %d: got %.200s, %v, want %.200s", f.Invocation, got, err, want[f.Invocation])
		}
	}
}

func TestCallsAtOnceMustBeDeclared(t *testing.T) {
	t.Parallel()
	for declaration, message := range map[string]string{
		"":                                  "instance_concurrency is 3, and the module does not export instanceConcurrency",
		"exports.instanceConcurrency = 2;":  "instance_concurrency is 3, and the module exports instanceConcurrency = 2",
		"exports.instanceConcurrency = {};": "exports instanceConcurrency = {}",
	} {
		i := blank(t)
		i.WriteFile(t, "handler.js", declaration+"exports.handle = () => 1;")
		if meta := i.Init(t, wire.InitMsg{Concurrency: 3}); meta.OK || meta.Type != "Runtime.InitError" || !strings.Contains(meta.Message, message) {
			t.Errorf("%s: got %+v, want %s", declaration, meta, message)
		}
	}
}

func TestCallsAtOnceEndWithThePlatform(t *testing.T) {
	t.Parallel()
	i := blank(t)
	i.WriteFile(t, "handler.js", "exports.instanceConcurrency = true; exports.handle = () => new Promise(() => {});")
	if meta := i.Init(t, wire.InitMsg{Concurrency: 2}); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	if err := i.Conn.Ping(runtimetest.Context(t)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(i.Conn.Close(), i.Cmd.Wait()); err != nil {
		t.Errorf("after the end of the connection: %v", err)
	}
}
