// Package testenv knows what this machine can test. A test asks for what it needs; where that is missing the
// test is skipped and says why, or fails when NIMBUS_TEST_REQUIRE names the need: root, sandbox, python, node, go, curl.
// The package is for tests only.
package testenv

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// requireVar lists the needs, comma-separated, whose absence is a failure.
const requireVar = "NIMBUS_TEST_REQUIRE"

// need is something a machine may lack.
type need string

const (
	needRoot    need = "root"
	needSandbox need = "sandbox"
	needPython  need = "python"
	needNode    need = "node"
	needGo      need = "go"
	needCurl    need = "curl"
)

func needs() []need { return []need{needRoot, needSandbox, needPython, needNode, needGo, needCurl} }

// RequireRoot skips the test unless it runs as root.
func RequireRoot(t testing.TB) {
	t.Helper()
	require(t, needRoot, missingRoot())
}

// RequireSandbox skips the test unless instances of the sandbox driver can be made here: root, user
// namespaces and a cgroup hierarchy one may write to.
func RequireSandbox(t testing.TB) {
	t.Helper()
	require(t, needSandbox, missingSandbox())
}

// RequirePython skips the test unless there is a Python interpreter that a sandbox can show to an instance,
// and returns its path, which is never a shim.
func RequirePython(t testing.TB) string {
	t.Helper()
	path, missing := findPython()
	require(t, needPython, missing)
	return path
}

// RequireNode skips the test unless there is a Node that a sandbox can show to an instance, and returns its path,
// which is never a shim.
func RequireNode(t testing.TB) string {
	t.Helper()
	path, missing := findNode()
	require(t, needNode, missing)
	return path
}

// RequireGo skips the test unless there is a Go toolchain, and returns the path of its go command.
func RequireGo(t testing.TB) string {
	t.Helper()
	path, missing := findGo()
	require(t, needGo, missing)
	return path
}

// RequireCurl skips the test unless there is a curl where instances see it.
func RequireCurl(t testing.TB) {
	t.Helper()
	var missing error
	if _, err := os.Stat("/usr/bin/curl"); err != nil {
		missing = fmt.Errorf("this test needs curl in /usr/bin; try: apt-get install curl")
	}
	require(t, needCurl, missing)
}

func missingRoot() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("this test needs root; run it with sudo")
	}
	return nil
}

// require ends the test when missing is not nil: a failure if the need is demanded, else a skip.
func require(t testing.TB, n need, missing error) {
	t.Helper()
	demanded, err := demandedNeeds(os.Getenv(requireVar))
	switch {
	case err != nil:
		t.Fatal(err)
	case missing == nil:
	case slices.Contains(demanded, n):
		t.Fatalf("%s=%s, but: %v", requireVar, n, missing)
	default:
		t.Skip(missing)
	}
}

func demandedNeeds(list string) ([]need, error) {
	var demanded []need
	for word := range strings.SplitSeq(list, ",") {
		n := need(strings.TrimSpace(word))
		if n == "" {
			continue
		}
		if !slices.Contains(needs(), n) {
			return nil, fmt.Errorf("%s: %q is none of %v", requireVar, n, needs())
		}
		demanded = append(demanded, n)
	}
	return demanded, nil
}
