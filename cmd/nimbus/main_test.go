package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// TestMain puts this binary on the PATH as nimbus, for scripts and for tests that start processes.
func TestMain(m *testing.M) {
	sandboxInit()
	hastenExits()
	testscript.Main(leakChecked{m}, map[string]func(){"nimbus": main})
}

// hastenExits has programs that are built with the race detector end without their second of waiting: tests run
// verbs by the hundred.
func hastenExits() { _ = os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")) }

// leakChecked fails a run that leaves goroutines behind.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}
