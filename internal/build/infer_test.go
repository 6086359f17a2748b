package build

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"nimbus"
	"nimbus/internal/runtime"
)

func files(pairs ...string) fstest.MapFS {
	tree := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		tree[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1]), Mode: 0o644}
	}
	return tree
}

const def = "def %(event, context):\n    return event\n"

func defines(name string) string { return strings.Replace(def, "%", name, 1) }

func TestInfer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tree fstest.MapFS
		want string
	}{
		"the convention":             {files("handler.py", defines("handle")), "handler.handle"},
		"the convention among files": {files("handler.py", defines("handle"), "app.py", defines("handler")), "handler.handle"},
		"the convention, imported":   {files("handler.py", "from impl import handle\n", "impl.py", defines("handle")), "handler.handle"},
		"the convention, assigned":   {files("handler.py", "def f(e): pass\nhandle = f\n"), "handler.handle"},
		"async":                      {files("handler.py", "async  def handle(e):\n  pass\n"), "handler.handle"},
		"AWS's convention":           {files("lambda_function.py", defines("lambda_handler")), "lambda_function.lambda_handler"},
		"one file of any name":       {files("report.py", defines("handler"), "README.md", "x"), "report.handler"},
		"one file with main":         {files("report.py", defines("main")), "report.main"},
		"main.main":                  {files("main.py", defines("main"), "tool.py", defines("main")), "main.main"},
		"a handler before main":      {files("x.py", defines("handler"), "main.py", defines("main")), "x.handler"},
		"a known file before others": {files("app.py", defines("handler"), "views.py", defines("handler")), "app.handler"},
		"a logger's handler is none": {files("app.py", "import logging\nhandler = logging.StreamHandler()\n"+defines("main")), "app.main"},
		"a function in a string":     {files("app.py", "'''\ndef handle(e): pass\n'''\n"+defines("main")), "app.main"},
		"a method is none":           {files("app.py", "class A:\n    def handle(self): pass\n"+defines("main")), "app.main"},
		"tests and set-up are none":  {files("app.py", defines("handle"), "test_app.py", defines("main"), "setup.py", defines("main")), "app.handle"},
		"nested files are not asked": {files("app.py", defines("handle"), "lib/handler.py", defines("handle")), "app.handle"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			language, handler, err := Infer(c.tree)
			if err != nil || language != runtime.Python || handler != c.want {
				t.Errorf("Infer = %q, %q, %v; want %q", language, handler, err, c.want)
			}
			if err := FindHandler(c.tree, runtime.Python, c.want); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestInferSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tree fstest.MapFS
		want []string
	}{
		"two functions":      {files("app.py", defines("handle")+defines("lambda_handler")), []string{"app.handle, app.lambda_handler"}},
		"two known files":    {files("app.py", defines("handler"), "main.py", defines("handler")), []string{"app.handler, main.handler"}},
		"two unknown files":  {files("a.py", defines("main"), "b.py", defines("main")), []string{"a.main, b.main"}},
		"no function":        {files("app.py", "print(1)\n", "b.py", defines("work")), []string{"app.py, b.py", "module.function"}},
		"no export":          {files("index.js", "x", "package.json", "{}"), []string{"no export", "index", "file.export"}},
		"no code":            {files("index.html", "x", "README", ""), []string{"no .py, .js or .go file"}},
		"wrapped":            {files("project/handler.py", defines("handle")), []string{"all is in project", "project/module.function"}},
		"nothing but a test": {files("test_a.py", defines("handle")), []string{"no .py, .js or .go file"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, handler, err := Infer(c.tree)
			if nimbus.CodeOf(err) != nimbus.CodeInvalid {
				t.Fatalf("Infer = %q, %v; want code invalid", handler, err)
			}
			field := err.(*nimbus.Error).Fields[0]
			for _, want := range c.want {
				if field.Field != "handler" || !strings.Contains(field.Detail, want) {
					t.Errorf("%s: %q, want …%s…", field.Field, field.Detail, want)
				}
			}
		})
	}
}

func TestFindHandler(t *testing.T) {
	t.Parallel()
	tree := files("handler.py", "", "pkg/__init__.py", "", "pkg/deep/mod.py", "", "my-func.py", "")
	for _, handler := range []string{"handler.handle", "pkg.handle", "pkg.deep.mod.f", "pkg/deep/mod.f", "my-func.handler"} {
		if err := FindHandler(tree, runtime.Python, handler); err != nil {
			t.Errorf("%s: %v", handler, err)
		}
	}
	for handler, want := range map[string]string{
		"app.handle":      "needs the file app.py or app/__init__.py; the package has handler.py, my-func.py, pkg/__init__.py, pkg/deep/mod.py",
		"pkg.deep.handle": "pkg/deep.py",
		"pkg.mod.handle":  "pkg/mod.py",
	} {
		err := FindHandler(tree, runtime.Python, handler)
		if nimbus.CodeOf(err) != nimbus.CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want …%s…", handler, err, want)
		}
	}
	b := newBench(t, nimbus.DefaultLimits())
	onDisk, err := b.Tree(t.Context(), b.build(t, member{name: "app"}, member{name: "handler.py"}))
	if err != nil {
		t.Fatal(err)
	}
	for _, handler := range []string{"app.inner.handle", strings.Repeat("x", 254) + ".f", "handler.handle"} {
		if err := FindHandler(onDisk, runtime.Python, handler); err != nil && nimbus.CodeOf(err) != nimbus.CodeInvalid {
			t.Errorf("%s: %v, want code invalid", handler, err)
		}
	}
	if err := FindHandler(files("index.html", "", "lib/x.css", ""), runtime.Python, "app.handle"); !strings.Contains(err.Error(), "has index.html, lib/") {
		t.Errorf("without code it says %v", err)
	}
	many := fstest.MapFS{}
	for c := range 26 {
		many[string(rune('a'+c))+".py"] = &fstest.MapFile{}
	}
	if err := FindHandler(many, runtime.Python, "none.handle"); !strings.HasSuffix(err.Error(), "i.py, j.py, …") {
		t.Errorf("among many it says %v", err)
	}
}

func TestValidHandler(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"handler.handle": true, "a/b.c": true, "a.b.c": true, "a-b._c": true, "src/app.Handle2": true,
		"": false, "handle": false, ".handle": false, "handler.": false, "handler.2x": false, "../x.y": false, "/a.b": false,
		"a..b": false, "a//b.c": false, "a b.c": false, "a.b-c": false, "a.b/c": false, "é.x": false, "a\n.b": false, "a.b\n": false,
		strings.Repeat("a", 254) + ".b": true, strings.Repeat("a", 255) + ".b": false,
	} {
		if got := ValidHandler(runtime.Python, text); got != want {
			t.Errorf("ValidHandler(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestScanModule(t *testing.T) {
	t.Parallel()
	src := "\ufeff#!/usr/bin/env python3\r\n" + `"""doc
def no1(): pass
"""
import os, handler1 as h
from a import (
    b,  # def no2():
    c as d,
)
from e import f as g, i
text = 'def no3'; other = "it's"
raw = r'\'
x: int = 1
a.attribute = 2
table["key"] = 3
y == 4
broken = 'never closed
def after_broken(): pass
@decorator(
    name='x'
)
def decorated(
    a,
    b,
): return {
def_no4: 1 }
if True:
    def no5(): pass
else: no6 = 1
joined = 1 + \
    2
async def coroutine(): pass
class Class(Base): pass
lambda_ = lambda: 0
def	tabbed(): pass
définition = 1
f'''{
def no7(): pass
}'''
def last():pass`
	m := scanModule([]byte(src))
	wantFunctions := []string{"after_broken", "decorated", "coroutine", "tabbed", "last"}
	if !slices.Equal(m.functions, wantFunctions) {
		t.Errorf("functions = %q, want %q", m.functions, wantFunctions)
	}
	others := slices.DeleteFunc(m.others, func(s string) bool { return s == "" })
	wantOthers := []string{"b", "d", "g", "i", "text", "raw", "x", "broken", "joined", "Class", "lambda_", "définition"}
	if !slices.Equal(others, wantOthers) {
		t.Errorf("others = %q, want %q", others, wantOthers)
	}
}
