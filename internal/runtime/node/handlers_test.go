package node_test

import (
	"fmt"
	"strings"
	"testing"

	"nimbus/internal/runtime/runtimetest"
	"nimbus/internal/testenv"
	"nimbus/internal/wire"
)

// TestShapes calls handlers of every shape with event 7.
func TestShapes(t *testing.T) {
	t.Parallel()
	const source = `
exports.one = (event) => [event];
exports.two = (event, context) => [event, context.function_name];
exports.none = () => 'nothing taken';
exports.anything = (...args) => args.length;
exports.promised = async (event, context) => [event, context.namespace];
exports.later = (event) => new Promise((resolve) => setTimeout(resolve, 1, [event]));
exports.thenable = (event) => ({ then(resolve) { resolve([event]); } });
exports.nested = { deep: { handle(event) { return [event, this === exports.nested.deep]; } } };
exports.callback = (event, context, callback) => callback(null, [event, context.function_name]);
exports.lateCallback = (event, context, callback) => { setTimeout(callback, 1, null, [event]); };
exports.callbackAndPromise = async (event, context, callback) => [event, typeof callback];
exports.generator = function* (event) { yield event; yield 'b'; };
exports.asyncGenerator = async function* (event) { yield event; await null; yield 'b'; };
exports.promisedGenerator = async (event) => exports.generator(event);
exports.map = () => new Map([[1, 2]]);
exports.bound = exports.one.bind(null);
exports.Class = class { static handle(event) { return [event, 'static']; } };
`
	tests := map[string]string{
		"handler.one":                `[7]`,
		"handler.two":                `[7,"greet"]`,
		"handler.none":               `"nothing taken"`,
		"handler.anything":           `2`,
		"handler.promised":           `[7,"default"]`,
		"handler.later":              `[7]`,
		"handler.thenable":           `[7]`,
		"handler.nested.deep.handle": `[7,true]`,
		"handler.callback":           `[7,"greet"]`,
		"handler.lateCallback":       `[7]`,
		"handler.callbackAndPromise": `[7,"function"]`,
		"handler.generator":          `[7,"b"]`,
		"handler.asyncGenerator":     `[7,"b"]`,
		"handler.promisedGenerator":  `[7,"b"]`,
		"handler.map":                `{}`,
		"handler.bound":              `[7]`,
		"handler.Class.handle":       `[7,"static"]`,
		"src/my-app/main.handle":     `"slashed"`,
		"dotted.name.handle":         `"dotted"`,
		"directory.handle":           `"directory"`,
		"whole.handle":               `"the exports are the function"`,
		"compiled.handle":            `"compiled"`,
		"module.handle":              `[7,"a dependency"]`,
		"module.nested.handle":       `[7,"nested"]`,
		"default.handle":             `"by name"`,
		"object.handle":              `[7,true]`,
		"object.default.handle":      `[7,true]`,
		"anonymous.default":          `"anonymous"`,
		"common.handle":              `"common"`,
		"typed/main.handle":          `"typed"`,
		"plain.handle":               `"an ES module by its text"`,
		"waits.handle":               `"waited"`,
	}
	for handler, want := range tests {
		t.Run(handler, func(t *testing.T) {
			t.Parallel()
			i := blank(t)
			i.WriteFile(t, "handler.js", source)
			i.WriteFile(t, "src/my-app/main.js", "exports.handle = () => 'slashed';")
			i.WriteFile(t, "dotted.name.js", "exports.handle = () => 'dotted';")
			i.WriteFile(t, "directory/index.js", "exports.handle = () => 'directory';")
			i.WriteFile(t, "whole.js", "module.exports = function handle() { return 'the exports are the function'; };")
			i.WriteFile(t, "compiled.js", "Object.defineProperty(exports, '__esModule', { value: true }); exports.default = { handle: () => 'compiled' };")
			i.WriteFile(t, "module.mjs", "import { name } from './dependency.mjs'; export const handle = (event) => [event, name];\n"+
				"export const nested = { handle: (event) => [event, 'nested'] };")
			i.WriteFile(t, "dependency.mjs", "export const name = 'a dependency';")
			i.WriteFile(t, "default.mjs", "export default function handle() { return 'by name'; }")
			i.WriteFile(t, "object.mjs", "const o = { handle(event) { return [event, this === o]; } }; export default o;")
			i.WriteFile(t, "anonymous.mjs", "export default () => 'anonymous';")
			i.WriteFile(t, "common.cjs", "exports.handle = () => 'common';")
			i.WriteFile(t, "typed/package.json", `{"type": "module"}`)
			i.WriteFile(t, "typed/main.js", "export const handle = () => 'typed';")
			i.WriteFile(t, "waits.mjs", "const waited = await new Promise((go) => setTimeout(go, 5, 'waited'));\nexport const handle = () => waited;")
			if handler == "plain.handle" {
				requireSyntaxDetection(t)
				i.WriteFile(t, "plain.js", "export const handle = () => 'an ES module by its text';")
			}
			if meta := i.Init(t, wire.InitMsg{Handler: handler}); !meta.OK {
				t.Fatalf("init: %+v", meta)
			}
			i.Want(t, `7`, want)
			i.Want(t, `7`, want)
		})
	}
}

// requireSyntaxDetection skips the test where Node does not tell an ES module by its text.
func requireSyntaxDetection(t *testing.T) {
	t.Helper()
	version := strings.TrimSpace(runtimetest.Run(t, testenv.RequireNode(t), "-p", "process.versions.node"))
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	if major < 20 || major == 20 && minor < 19 || major == 22 && minor < 7 {
		t.Skipf("Node %s does not tell an ES module by its text", version)
	}
}

type initFailure struct{ handler, file, source, kind, message string }

func TestInitFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]initFailure{
		"no module":          {"absent.handle", "", "", "Runtime.ImportModuleError", "Cannot find module 'absent'; the code has d, data.txt, handler.js, n.mjs"},
		"missing import":     {"", "", "require('nowhere')", "Runtime.ImportModuleError", "Cannot find module 'nowhere'"},
		"missing in ESM":     {"m.handle", "m.mjs", "import 'nowhere';", "Runtime.ImportModuleError", "Cannot find package 'nowhere'"},
		"missing name":       {"m.handle", "m.mjs", "import { nothing } from 'node:fs';", "Runtime.UserCodeSyntaxError", "m.mjs:1: The requested module 'node:fs' does not provide an export named 'nothing'"},
		"missing addon":      {"", "", "require('./addon.node')", "Runtime.ImportModuleError", "addon.node"},
		"raises":             {"", "", "class MyError extends Error {}\nthrow new MyError('broken')", "MyError", "broken"},
		"raises in ESM":      {"m.handle", "m.mjs", "throw new TypeError('broken')", "TypeError", "broken"},
		"throws a string":    {"", "", "throw 'words'", "string", "words"},
		"rejects":            {"m.handle", "m.mjs", "await Promise.reject(new RangeError('late'))", "RangeError", "late"},
		"unhandled":          {"m.handle", "m.mjs", "Promise.reject(new RangeError('late')); await new Promise((go) => setTimeout(go, 1000));", "Runtime.UnhandledPromiseRejection", "RangeError: late"},
		"uncaught":           {"m.handle", "m.mjs", "setTimeout(() => { throw new RangeError('timer'); }); await new Promise((go) => setTimeout(go, 1000));", "RangeError", "timer"},
		"never settles":      {"m.handle", "m.mjs", "await new Promise(() => {});", "Runtime.NeverSettled", "can never happen"},
		"syntax":             {"", "", "const x = 1;\nfunction handle(event {\n}", "Runtime.UserCodeSyntaxError", "handler.js:2: "},
		"syntax in ESM":      {"m.handle", "m.mjs", "export const x = 1;\nfunction handle(event {\n}", "Runtime.UserCodeSyntaxError", "m.mjs:2: "},
		"deep syntax in ESM": {"m.handle", "m.mjs", "import './n.mjs';", "Runtime.UserCodeSyntaxError", "n.mjs:3: "},
		"syntax of data":     {"", "", "JSON.parse('{')", "SyntaxError", "JSON"},
		"syntax in another":  {"m.handle", "m.js", "require('./handler.js')", "Runtime.UserCodeSyntaxError", "handler.js:1: "},
		"exits":              {"", "", "process.exit(3)", "Runtime.ExitError", "exit status 3"},
		"no function":        {"", "", "exports.other = () => 1; exports.value = 2;", "Runtime.HandlerNotFound", "handler does not export 'handle'; it exports the functions other"},
		"nothing at all":     {"", "", "", "Runtime.HandlerNotFound", "it exports no functions"},
		"not callable":       {"", "", "exports.handle = {}", "Runtime.HandlerNotFound", "handler.handle is of type object"},
		"no attribute":       {"handler.a.b", "", "exports.a = { c() {} }", "Runtime.HandlerNotFound", "handler does not export 'a.b'"},
		"malformed":          {"handle", "", "", "Runtime.HandlerNotFound", "not of the form module.function"},
		"climbing":           {"../x.handle", "", "", "Runtime.HandlerNotFound", "not of the form module.function"},
		"broken package":     {"d/m.handle", "d/package.json", "{", "Runtime.ImportModuleError", "d/package.json: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := blank(t)
			i.WriteFile(t, "data.txt", "")
			i.WriteFile(t, "handler.js", "exports.handle = (")
			i.WriteFile(t, "n.mjs", "\n\nexport const = 1;")
			i.WriteFile(t, "d/m.js", "exports.handle = () => 1")
			if tt.file == "" {
				tt.file = "handler.js"
			}
			i.WriteFile(t, tt.file, tt.source)
			meta := i.Init(t, wire.InitMsg{Handler: tt.handler})
			if meta.OK || meta.Type != tt.kind || !strings.Contains(meta.Message, tt.message) {
				t.Errorf("got %+v, want %s: %s", meta, tt.kind, tt.message)
			}
			for _, line := range meta.Stack {
				if strings.Contains(line, "bootstrap.cjs") || strings.Contains(line, "node:internal") {
					t.Errorf("the stack shows our frames: %q", meta.Stack)
				}
			}
		})
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	i := function(t, `
const names = ['request_id', 'function_name', 'function_version', 'namespace', 'memory_limit_mb', 'trace_id', 'traceparent',
  'awsRequestId', 'functionName', 'functionVersion', 'memoryLimitInMB', 'invokedFunctionArn', 'logGroupName'];
exports.handle = (event, context) => {
  const { getRemainingTimeInMillis } = context;
  const left = getRemainingTimeInMillis();
  if (!(left > 0 && left <= 20000) || context.get_remaining_time_in_millis() > left) throw new Error('left: ' + left);
  if (!Number.isInteger(context.deadline_ms) || !context.logStreamName.startsWith('[3]')) throw new Error(context.logStreamName);
  if (context.callbackWaitsForEmptyEventLoop !== true) throw new Error('not reset');
  context.callbackWaitsForEmptyEventLoop = false;
  return names.map((name) => context[name]);
};
`)
	const want = `["0197-request","greet","3","default",256,"trace-1","","0197-request","greet","3","256",` +
		`"arn:nimbus:lambda:local:default:function:greet:3","/nimbus/default/greet"]`
	i.Want(t, `null`, want)
	i.Want(t, `null`, want)
}

func TestCallbacks(t *testing.T) {
	t.Parallel()
	i := function(t, `
const cases = {
  error: (context, callback) => callback(new TypeError('by callback')),
  text: (context, callback) => callback('words'),
  twice: (context, callback) => { callback(null, 1); callback(null, 2); },
  never: () => {},
  throws: () => { throw new RangeError('thrown'); },
  waits(context, callback) { const done = []; setTimeout(() => done.push('timer'), 5); callback(null, done); },
  goesOn(context, callback) {
    context.callbackWaitsForEmptyEventLoop = false;
    const done = [];
    setTimeout(() => done.push('timer'), 60_000);
    callback(null, done);
  },
};
exports.handle = (event, context, callback) => cases[event](context, callback);
`)
	i.WantError(t, `"error"`, "TypeError", "by callback")
	i.WantError(t, `"text"`, "string", "words")
	i.Want(t, `"twice"`, `1`)
	i.WantError(t, `"never"`, "Runtime.NeverSettled", "without calling its callback")
	i.WantError(t, `"throws"`, "RangeError", "thrown")
	i.Want(t, `"waits"`, `["timer"]`)
	i.Want(t, `"goesOn"`, `[]`)
}
