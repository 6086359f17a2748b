package build

import (
	"archive/zip"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/mod/sumdb/dirhash"

	"nimbus"
	"nimbus/internal/runtime"
	"nimbus/internal/testenv"
)

// proxy is a module proxy that has example.com/lib v1.0.0.
type proxy struct {
	*httptest.Server
	asked atomic.Int32
}

const (
	libMod  = "module example.com/lib\n\ngo 1.21\n"
	libCode = "package lib\n\nimport \"fmt\"\n\nfunc Say() { fmt.Println(1) }\n"
	libTest = "package lib\n\nimport \"example.com/unknown\"\n"
)

func newProxy(t testing.TB) *proxy {
	t.Helper()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for name, text := range map[string]string{"go.mod": libMod, "lib.go": libCode, "lib_test.go": libTest, "inner/gen.go": "package inner\n"} {
		f, err := w.Create("example.com/lib@v1.0.0/" + name)
		if err == nil {
			_, err = f.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	content := map[string][]byte{
		"list": []byte("v1.0.0\n"), "v1.0.0.mod": []byte(libMod), "v1.0.0.zip": archive.Bytes(),
		"v1.0.0.info": []byte(`{"Version":"v1.0.0","Time":"2026-01-01T00:00:00Z"}`),
	}
	p := &proxy{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		text, there := content[path.Base(r.URL.Path)]
		if !there || !strings.HasPrefix(r.URL.Path, "/example.com/lib/@v/") {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(text)
	}))
	t.Cleanup(p.Close)
	return p
}

// libSum is what go.sum says of the module.
func libSum(t testing.TB) string {
	t.Helper()
	text := map[string]string{"go.mod": libMod, "lib.go": libCode, "lib_test.go": libTest, "inner/gen.go": "package inner\n"}
	open := func(name string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text[strings.TrimPrefix(name, "example.com/lib@v1.0.0/")])), nil
	}
	var names []string
	for name := range text {
		names = append(names, "example.com/lib@v1.0.0/"+name)
	}
	tree, err := dirhash.Hash1(names, open)
	if err != nil {
		t.Fatal(err)
	}
	mod, err := dirhash.Hash1([]string{"go.mod"}, open)
	if err != nil {
		t.Fatal(err)
	}
	return "example.com/lib v1.0.0 " + tree + "\nexample.com/lib v1.0.0/go.mod " + mod + "\n"
}

const usesLib = "package main\n\nimport \"example.com/lib\"\n\nfunc main() { lib.Say() }\n"

func usingLib(sums string) []member {
	return []member{{name: "main.go", body: usesLib}, {name: "go.mod", body: "module f\n\ngo 1.21\n\nrequire example.com/lib v1.0.0\n"},
		{name: "go.sum", body: sums}, {name: "main_test.go", body: "package main\n\nimport _ \"example.com/unknown\"\n"}}
}

func TestFetchModules(t *testing.T) {
	t.Parallel()
	p := newProxy(t)
	w := newWorkshop(t, CompilerConfig{GoProxy: p.URL})
	made, err := w.compile(t, runtime.Go, "main", usingLib(libSum(t))...)
	if err != nil {
		t.Fatal(err)
	}
	if found := w.files(t, made); !strings.HasPrefix(found["main"], elfMagic) || len(found) != 1 {
		t.Errorf("the package has %q", keys(found))
	}
	if said := strings.Join(w.lines, "\n"); !strings.Contains(said, "go: downloading example.com/lib v1.0.0") {
		t.Errorf("progress: %s", said)
	}
	// Another program that needs the same asks nobody.
	p.Close()
	other := usingLib(libSum(t))
	other[0].body += "\nvar _ = 1\n"
	if _, err := w.compile(t, runtime.Go, "main", other...); err != nil {
		t.Error(err)
	}
	// What is kept belongs to the server and can't be written.
	kept, err := os.ReadDir(w.place("modules"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept: %v, %v", kept, err)
	}
	st, err := os.Stat(w.place("modules", kept[0].Name(), "vendor", "example.com", "lib", "lib.go"))
	if err != nil || st.Mode().Perm() != sharedFile {
		t.Errorf("mode %v, %v", st, err)
	}
}

// What the go command does not count as imported is not what a program that imports the same is given.
func TestFetchedForAnother(t *testing.T) {
	t.Parallel()
	const idle = "package main\n\nfunc main() {}\n"
	for name, odd := range map[string][]member{
		"another module": {{name: "inner/go.mod", body: "module inner\n"}, {name: "inner/inner.go", body: usesLib}},
		"left out":       {{name: "gen.go", body: "//go:build ignore\n\n" + usesLib}},
		"hidden":         {{name: "_main.go", body: usesLib}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t)
			w := newWorkshop(t, CompilerConfig{GoProxy: p.URL})
			first := append(usingLib(libSum(t)), odd...)
			first[0].body = idle
			if _, err := w.compile(t, runtime.Go, "main", first...); err != nil {
				t.Fatal(err)
			}
			if _, err := w.compile(t, runtime.Go, "main", usingLib(libSum(t))...); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFetchWithoutSums(t *testing.T) {
	t.Parallel()
	p := newProxy(t)
	w := newWorkshop(t, CompilerConfig{GoProxy: p.URL, GoSumDB: "off"})
	files := usingLib("")
	if _, err := w.compile(t, runtime.Go, "main", files[:2]...); err != nil {
		t.Error(err)
	}
}

func TestFetchSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	p := newProxy(t)
	wrong := strings.Replace(libSum(t), "h1:", "h1:AAAA", 1)
	wrong = wrong[:strings.Index(wrong, "h1:")+3] + "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" + wrong[strings.IndexByte(wrong, '\n'):]
	for name, c := range map[string]struct {
		files []member
		want  string
	}{
		"a wrong sum": {usingLib(wrong), "SECURITY ERROR"},
		"no such module": {[]member{{name: "main.go", body: strings.ReplaceAll(usesLib, "lib\"", "none\"")}, {name: "go.mod", body: "module f\n\ngo 1.21\n\nrequire example.com/none v1.0.0\n"}},
			"example.com/none@v1.0.0"},
		"not required": {[]member{{name: "main.go", body: strings.ReplaceAll(usesLib, "lib\"", "none\"")}, {name: "go.mod", body: usingLib("")[1].body}, {name: "go.sum", body: libSum(t)}},
			"main.go:3:8: no required module provides package example.com/none"},
		"too new a Go": {[]member{{name: "main.go", body: usesLib}, {name: "go.mod", body: "module f\n\ngo 1.99\n\nrequire example.com/lib v1.0.0\n"}},
			"go.mod requires go >= 1.99"},
		"version control": {[]member{{name: "main.go", body: usesLib}, {name: "go.mod", body: "module f\n\ngo 1.21\n\nrequire example.com/lib v1.0.1-0.20260101000000-abcdefabcdef\n"}}, "example.com/lib@v1.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t, CompilerConfig{GoProxy: p.URL, GoSumDB: "off"})
			_, err := w.compile(t, runtime.Go, "main", c.files...)
			if got := message(t, err); !strings.Contains(got, c.want) || strings.Contains(got, stageTemplate) {
				t.Errorf("it says %q, want …%s…", got, c.want)
			}
		})
	}
}

func TestProxyThatIsGone(t *testing.T) {
	t.Parallel()
	gone := "http://" + testenv.Nobody(t)
	w := newWorkshop(t, CompilerConfig{GoProxy: gone})
	_, err := w.compile(t, runtime.Go, "main", usingLib(libSum(t))...)
	if nimbus.CodeOf(err) != nimbus.CodeUnavailable || !strings.Contains(err.Error(), "from "+gone+" (build.go_proxy)") {
		t.Errorf("error = %v", err)
	}
}

// A go command that fetches is nobody's: it can't see what the server keeps.
func TestStageSeesNothing(t *testing.T) {
	t.Parallel()
	testenv.RequireRoot(t)
	s, err := newStage(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	secret := t.TempDir() + "/secret"
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	said, err := s.run(t.Context(), command{argv: []string{"/bin/sh", "-c", "id -u; id -G; env; pwd; touch made; cat " + secret}, dir: stageSource, progress: func(string) {}})
	if err == nil || !strings.HasPrefix(said, "65534\n65534\nPWD="+s.path(stageSource)) || !strings.Contains(said, "Permission denied") {
		t.Errorf("%q, %v", said, err)
	}
	if err := s.copyOut(stageSource+"/made", t.TempDir()+"/made"); err != nil {
		t.Error(err)
	}
	if err := os.Symlink(secret, s.path("link")); err != nil {
		t.Fatal(err)
	}
	if err := s.copyOut("link", t.TempDir()+"/link"); err == nil {
		t.Error("a link was copied")
	}
	if err := s.remove(); err != nil {
		t.Error(err)
	}
}

func TestTheToolchainsOwnProxyIsNeverDirect(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"https://one.example,direct\n":                  "https://one.example",
		"https://one.example|https://two.example,off\n": "https://one.example,https://two.example,off",
		"direct\n": "off",
		"\n":       "off",
	} {
		if got := proxiesOf(list); got != want {
			t.Errorf("%q: got %q, want %q", list, got, want)
		}
	}
}
