package python_test

import (
	"strings"
	"testing"

	"nimbus/internal/runtime/runtimetest"
	"nimbus/internal/wire"
)

// TestShapes calls handlers of every shape with event 7.
func TestShapes(t *testing.T) {
	t.Parallel()
	const source = `
import functools, operator, sys

def one(event): return [event]
def two(event, context): return [event, context.function_name]
def optional(event, context=None): return [event, context is not None]
def anything(*args): return len(args)
def keyword(event, *, context): return [event, context.function_name]
def wrap(f):
    @functools.wraps(f)
    def wrapper(*args, **kwargs): return f(*args, **kwargs)
    return wrapper
wrapped_one = wrap(one)
wrapped_two = wrap(two)
def strict(f):
    @functools.wraps(f)
    def wrapper(event, context): return f(event)
    return wrapper
wrapped_strict = strict(one)
def prefixed(event, context, prefix): return [prefix, event, context.function_name]
partial = functools.partial(prefixed, prefix="p")
half = functools.partial(lambda prefix, event: [prefix, event], "x")
class Instance:
    def __call__(self, event, context): return [event, "call"]
    def method(self, event): return [event, "method"]
    @staticmethod
    def static(event): return [event, "static"]
instance = Instance()
builtin = abs
async def coroutine(event):
    import asyncio
    await asyncio.sleep(0)
    return [event, "async"]
async def coroutine_two(event, context): return [event, context.namespace]
lazy = lambda event: coroutine(event)
class Namespace:
    inner = instance
nan_free = operator.neg
`
	tests := map[string]string{
		"handler.one":                    `[7]`,
		"handler.two":                    `[7,"greet"]`,
		"handler.optional":               `[7,true]`,
		"handler.anything":               `2`,
		"handler.keyword":                `[7,"greet"]`,
		"handler.wrapped_one":            `[7]`,
		"handler.wrapped_two":            `[7,"greet"]`,
		"handler.wrapped_strict":         `[7]`,
		"handler.partial":                `["p",7,"greet"]`,
		"handler.half":                   `["x",7]`,
		"handler.instance":               `[7,"call"]`,
		"handler.Instance":               `[7,"call"]`,
		"handler.instance.method":        `[7,"method"]`,
		"handler.Instance.static":        `[7,"static"]`,
		"handler.Namespace.inner.method": `[7,"method"]`,
		"handler.builtin":                `7`,
		"handler.nan_free":               `-7`,
		"handler.coroutine":              `[7,"async"]`,
		"handler.coroutine_two":          `[7,"default"]`,
		"handler.lazy":                   `[7,"async"]`,
		"src/my-app/main.handle":         `"slashed"`,
		"package.module.handle":          `"dotted"`,
		"package.exported":               `"package"`,
	}
	for handler, want := range tests {
		t.Run(handler, func(t *testing.T) {
			t.Parallel()
			i := blank(t)
			i.WriteFile(t, "handler.py", source)
			i.WriteFile(t, "src/my-app/main.py", "def handle(event): return 'slashed'")
			i.WriteFile(t, "package/__init__.py", "def exported(event): return 'package'")
			i.WriteFile(t, "package/module.py", "def handle(event): return 'dotted'")
			if meta := i.Init(t, wire.InitMsg{Handler: handler}); !meta.OK {
				t.Fatalf("init: %+v", meta)
			}
			i.Want(t, `7`, want)
			i.Want(t, `7`, want)
		})
	}
}

type initFailure struct{ handler, source, kind, message string }

func TestInitFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]initFailure{
		"no module":        {"absent.handle", "", "Runtime.ImportModuleError", "No module named 'absent'; the code has data.txt, handler.py"},
		"no nested module": {"a/b.handle", "", "Runtime.ImportModuleError", "No module named 'a'"},
		"missing import":   {"", "import nowhere", "Runtime.ImportModuleError", "No module named 'nowhere'"},
		"missing name":     {"", "from json import nothing", "Runtime.ImportModuleError", "cannot import name 'nothing'"},
		"raises":           {"", "class MyError(Exception): pass\nraise MyError('broken')", "MyError", "broken"},
		"syntax":           {"", "x = 1\ndef handle(event)\n    pass", "Runtime.UserCodeSyntaxError", "handler.py:2: "},
		"indentation":      {"", "def handle(event):\nreturn 1", "Runtime.UserCodeSyntaxError", "handler.py:2: "},
		"exits":            {"", "raise SystemExit(3)", "Runtime.ExitError", "exit status 3"},
		"no function":      {"", "def other(e): pass\ndef _hidden(): pass\nimport json", "Runtime.HandlerNotFound", "handler has no 'handle'; it has the functions other"},
		"nothing at all":   {"", "", "Runtime.HandlerNotFound", "it has no functions"},
		"not callable":     {"", "handle = {}", "Runtime.HandlerNotFound", "handler.handle is of type dict"},
		"no attribute":     {"handler.A.b", "class A:\n  def c(self): pass", "Runtime.HandlerNotFound", "handler.A has no 'b'; it has the functions c"},
		"malformed":        {"handle", "", "Runtime.HandlerNotFound", "not of the form module.function"},
		"climbing":         {"../x.handle", "", "Runtime.HandlerNotFound", "not of the form module.function"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := blank(t)
			i.WriteFile(t, "data.txt", "")
			i.WriteFile(t, "handler.py", tt.source)
			meta := i.Init(t, wire.InitMsg{Handler: tt.handler})
			if meta.OK || meta.Type != tt.kind || !strings.Contains(meta.Message, tt.message) {
				t.Errorf("got %+v, want %s: %s", meta, tt.kind, tt.message)
			}
			for _, line := range meta.Stack {
				if strings.Contains(line, "bootstrap.py") || strings.Contains(line, "importlib") {
					t.Errorf("the stack shows our frames: %q", meta.Stack)
				}
			}
			if tt.kind == "Runtime.UserCodeSyntaxError" && !strings.Contains(strings.Join(meta.Stack, "\n"), "line 2") {
				t.Errorf("the stack does not show the line: %q", meta.Stack)
			}
		})
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	i := function(t, `
NAMES = ["request_id", "function_name", "function_version", "namespace", "memory_limit_mb", "trace_id",
    "aws_request_id", "memory_limit_in_mb", "invoked_function_arn", "log_group_name", "client_context"]
def handle(event, context):
    assert isinstance(context.deadline_ms, int)
    assert context.log_stream_name.startswith("[3]")
    assert context.identity.cognito_identity_id is None
    assert "0197-request" in repr(context)
    left = context.get_remaining_time_in_millis()
    assert isinstance(left, int) and 0 < left <= 20000, left
    context.deadline_ms = 1
    assert context.get_remaining_time_in_millis() == 0
    return [getattr(context, name) for name in NAMES]
`)
	const want = `["0197-request","greet","3","default",256,"trace-1","0197-request","256",` +
		`"arn:nimbus:lambda:local:default:function:greet:3","/nimbus/default/greet",null]`
	i.Want(t, `null`, want)
	i.Want(t, `null`, want)
}

// A trace that is recorded is shown to libraries made for AWS; one that is not leaves no trace of the one before.
func TestTrace(t *testing.T) {
	t.Parallel()
	i := function(t, `
import os
def handle(event, context):
    return [context.traceparent, os.environ.get("_X_AMZN_TRACE_ID")]
`)
	for _, tt := range []struct{ traceparent, want string }{
		{"", `["",null]`},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03",
			`["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03","Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1"]`},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02",
			`["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02",null]`},
	} {
		meta := runtimetest.ExecMeta()
		meta.Traceparent = tt.traceparent
		resp, raw, err := i.Conn.Exec(runtimetest.Context(t), meta, []byte("null"), nil)
		if err != nil || !resp.OK || string(raw) != tt.want {
			t.Errorf("got %+v %s %v, want %s", resp, raw, err, tt.want)
		}
	}
}
