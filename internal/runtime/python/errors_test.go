package python_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"nimbus/internal/runtime/runtimetest"
	"nimbus/internal/wire"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	i := function(t, `
import sys, os

class MyError(Exception): pass
class Unprintable(Exception):
    def __str__(self): raise RuntimeError("no")

def zero(): return 1 / 0
def chained():
    try: zero()
    except ZeroDivisionError as e: raise MyError("outer") from e
def context():
    try: zero()
    except ZeroDivisionError: raise KeyError("missing")
def recursion(): return recursion()
def memory(): return bytearray(1 << 62)
def long(): raise MyError("x" * 1_000_000)
def surrogate(): raise MyError("\ud800")
def unprintable(): raise Unprintable()
def leave(): sys.exit(3)
def leave_with_words(): sys.exit("words")
def leave_well(): exit()
def interrupt(): raise KeyboardInterrupt
def generator_exit(): raise GeneratorExit
def no_arguments(): return zero(1)
def syntax(): exec("a b")

def handle(event):
    return globals()[event]() if event else "well"
`)
	tests := map[string][2]string{
		"zero":             {"ZeroDivisionError", "division by zero"},
		"chained":          {"MyError", "outer"},
		"context":          {"KeyError", "'missing'"},
		"recursion":        {"RecursionError", "maximum recursion depth exceeded"},
		"memory":           {"MemoryError", ""},
		"long":             {"MyError", "xxxxx"},
		"surrogate":        {"MyError", "\uFFFD"}, // as Go's decoder shows a lone surrogate
		"unprintable":      {"Unprintable", "description raised RuntimeError"},
		"leave":            {"Runtime.ExitError", "exit status 3"},
		"leave_with_words": {"Runtime.ExitError", "exit status 1"},
		"leave_well":       {"Runtime.ExitError", "exit status 0"},
		"interrupt":        {"Runtime.ExitError", "KeyboardInterrupt"},
		"generator_exit":   {"GeneratorExit", ""},
		"no_arguments":     {"TypeError", "takes 0 positional arguments"},
		"syntax":           {"SyntaxError", "invalid syntax"},
	}
	for event, want := range tests {
		meta := i.WantError(t, runtimetest.JSON(t, event), want[0], want[1])
		if len(meta.Message) > 20_000 || len(meta.Stack) > 120 {
			t.Errorf("%s: a message of %d bytes and a stack of %d lines are not bounded", event, len(meta.Message), len(meta.Stack))
		}
		for _, line := range meta.Stack {
			if strings.Contains(line, "bootstrap.py") {
				t.Errorf("%s: the stack shows our frames: %q", event, meta.Stack)
			}
		}
		i.Want(t, `null`, `"well"`)
	}

	meta := i.WantError(t, `"chained"`, "MyError", "outer")
	stack := strings.Join(meta.Stack, "\n")
	for _, part := range []string{
		"Traceback (most recent call last):", `handler.py", line 8, in zero`, "def zero(): return 1 / 0",
		"ZeroDivisionError: division by zero", "direct cause", "in handle", "MyError: outer",
	} {
		if !strings.Contains(stack, part) {
			t.Errorf("the stack lacks %q:\n%s", part, stack)
		}
	}
	if got := i.Printed(); strings.Contains(got, "Traceback") {
		t.Errorf("the bootstrap printed what the platform logs:\n%s", got)
	}
}

func TestTheRuntimeEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"exits":                   "os._exit(7)",
		"is killed":               "os.kill(os.getpid(), 9)",
		"closes every descriptor": "os.closerange(3, 65536)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := function(t, "import os\ndef handle(event):\n    print('here')\n    "+body+"\n")
			_, _, err := i.Conn.Exec(runtimetest.Context(t), runtimetest.ExecMeta(), []byte(`1`), nil)
			if !errors.Is(err, wire.ErrEnded) || !strings.Contains(err.Error(), "the runtime ended") {
				t.Errorf("got %v, want %v", err, wire.ErrEnded)
			}
			if _, _, err := i.Conn.Exec(runtimetest.Context(t), runtimetest.ExecMeta(), []byte(`1`), nil); !errors.Is(err, wire.ErrEnded) {
				t.Errorf("and again: got %v, want %v", err, wire.ErrEnded)
			}
			_ = i.Cmd.Wait()
			if !strings.Contains(i.Printed(), "here") {
				t.Errorf("what was printed before the end is lost: %q", i.Printed())
			}
		})
	}
}

func TestInfiniteLoop(t *testing.T) {
	t.Parallel()
	i := function(t, "def handle(event):\n    while True: pass\n")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := i.Conn.Exec(ctx, runtimetest.ExecMeta(), []byte(`1`), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
}
