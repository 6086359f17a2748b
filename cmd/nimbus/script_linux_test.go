package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs every verb against one real server that asks for no keys.
func TestScripts(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	runScripts(t, "testdata/script", func(env *testscript.Env) error {
		env.Setenv("NIMBUS_SERVER", s.url)
		env.Setenv("NIMBUS_NAMESPACE", scriptName(env))
		return nil
	})
}

// tryBuildScripts runs the scripts that have something compiled.
func tryBuildScripts(t *testing.T, s *server) {
	runScripts(t, "testdata/build", func(env *testscript.Env) error {
		env.Setenv("NIMBUS_SERVER", s.url)
		env.Setenv("NIMBUS_NAMESPACE", scriptName(env))
		cat, err := exec.LookPath("cat") // the smallest function there is in machine code
		env.Setenv("CAT", cat)
		return err
	})
}

// TestScriptsWithKeys does so against one that does.
func TestScriptsWithKeys(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "nimbus.yaml")
	if err := os.WriteFile(config, []byte("auth:\n  enabled: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, t.TempDir(), "--config", config)
	admin := keyIn(s.stdout.String())
	if admin == "" {
		t.Fatalf("the first start prints no key:\n%s", s.stdout)
	}
	runScripts(t, "testdata/keys", func(env *testscript.Env) error {
		env.Setenv("NIMBUS_SERVER", s.url)
		env.Setenv("NIMBUS_NAMESPACE", scriptName(env))
		env.Setenv("ADMIN", admin)
		return nil
	})
}

// scriptName names a namespace of its own for each script: that of the script.
func scriptName(env *testscript.Env) string {
	return strings.TrimPrefix(filepath.Base(env.WorkDir), "script-")
}
