package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nimbus/internal/testenv"
)

// TestBuildSurvivesAKill: what was asked for before a kill -9 is built by the next server, for a function that is
// new and for one that serves meanwhile.
func TestBuildSurvivesAKill(t *testing.T) {
	t.Parallel()
	testenv.RequireGo(t)
	data := t.TempDir()
	s := startServer(t, data)
	s.deploy("changes", "def handle(e):\n return 'before'\n")
	source := filepath.Join(t.TempDir(), "main.go")
	says := func(what string) {
		t.Helper()
		text := "package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(`\"" + what + "\"`) }\n"
		if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	says("new")
	s.run("deploy", source, "--name", "new", "--no-wait")
	says("after")
	s.run("deploy", source, "--name", "changes", "--runtime", "go", "--handler", "", "--no-wait")
	if status := s.run("function", "get", "new", "-o", "json"); !strings.Contains(status, `"status": "building"`) {
		t.Fatalf("it was built too soon to be killed at it: %s", status)
	}
	if got := string(s.invoke("changes", "1").Body); got != `"before"` {
		t.Errorf("while version 2 is built it says %s", got)
	}

	s.kill()
	s = startServer(t, data)
	for name, want := range map[string]string{"new": `"new"`, "changes": `"after"`} {
		testenv.Eventually(t, 5*time.Minute, func() bool {
			f := s.run("function", "get", name, "-o", "json")
			return strings.Contains(f, `"status": "active"`) && strings.Contains(f, `"toolchain": "go1.`)
		})
		if got := string(s.invoke(name, "1").Body); got != want {
			t.Errorf("after the kill %s says %s, want %s", name, got, want)
		}
	}
	if code := s.stop(); code != 0 {
		t.Errorf("SIGTERM ended it with %d", code)
	}
}
