package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nimbus/internal/testenv"
)

// TestRuntimes tries what users write in every language, on one server: a server's first builds compile the
// standard library.
func TestRuntimes(t *testing.T) {
	t.Parallel()
	testenv.RequireNode(t)
	testenv.RequireCurl(t)
	data := t.TempDir()
	config := offlineModules(t, filepath.Join("testdata", "odd", "lambda"))
	s := startServer(t, data, "--config", config)
	t.Run("examples", func(t *testing.T) { tryExamples(t, s.as(t)) })
	t.Run("shapes", func(t *testing.T) { tryShapes(t, s.as(t)) })
	t.Run("odd", func(t *testing.T) { tryStrangers(t, s.as(t)) })
	s.checkNothingSleeps()
	t.Run("refused", func(t *testing.T) { tryRefused(t, s.as(t)) })
	t.Run("scripts", func(t *testing.T) { tryBuildScripts(t, s) })
	t.Run("builds", func(t *testing.T) { tryBuilds(t, s.as(t)) })

	// Killed in the middle of a build, with instances of every runtime, it ends that build when it is back.
	if out := s.run("deploy", goAnswering(t, "after all"), "--name", "interrupted", "--no-wait"); !strings.HasPrefix(out, "building") {
		t.Errorf("it is built already: %s", out)
	}
	below := descendants(t, s.cmd.Process.Pid)
	s.kill()
	s = startServer(t, data, "--config", config)
	for _, pid := range below {
		if alive(pid) {
			t.Errorf("process %d of the killed server is still there", pid)
		}
	}
	if a := s.invoke("interrupted", ""); a.StatusCode != 200 || string(a.Body) != `"after all"` {
		t.Errorf("what was being built answers %+v %s", a, a.Body)
	}
}

// offlineModules fetches what a module needs with the developer's own settings, and returns a configuration
// with which the server finds it on this machine, as long as the test runs.
func offlineModules(t *testing.T, dir string) string {
	t.Helper()
	toolchain := testenv.RequireGo(t)
	download := exec.Command(toolchain, "mod", "download")
	download.Dir = dir
	if out, err := download.CombinedOutput(); err != nil {
		t.Fatalf("fetch the modules of %s: %v\n%s", dir, err, out)
	}
	cache, err := exec.Command(toolchain, "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	// By HTTP, because who fetches may not read the developer's files.
	proxy := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(strings.TrimSpace(string(cache)), "cache", "download"))))
	t.Cleanup(proxy.Close)
	config := filepath.Join(t.TempDir(), "nimbus.yaml")
	text := "build:\n  go_proxy: " + proxy.URL + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}
