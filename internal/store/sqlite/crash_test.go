package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nimbus"
)

// crashDirVar makes the test binary the child of TestCrash, working in that directory.
const crashDirVar = "NIMBUS_TEST_CRASH_DIR"

// TestCrash kills a process that appends, at random, and looks for everything the process was told is
// stored: entries must survive even a power cut, records a dead process.
func TestCrash(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	must(t, err)
	dir := filepath.Join(t.TempDir(), "data")
	for range 3 {
		told := killedChild(t, self, dir, 20+rand.IntN(200))
		s := openIn(t, dir)
		for _, line := range told {
			wantStored(t, s, line)
		}
		must(t, s.Close())
	}
}

// killedChild starts the child, kills it after about so many lines and returns all that it has printed.
func killedChild(t *testing.T, self, dir string, lines int) []string {
	t.Helper()
	child := exec.Command(self)
	child.Env = []string{crashDirVar + "=" + dir}
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	var told []string
	for scan := bufio.NewScanner(out); scan.Scan(); {
		told = append(told, scan.Text())
		if len(told) == lines {
			must(t, child.Process.Kill())
		}
	}
	_ = child.Wait() // it was killed
	if len(told) < lines {
		t.Fatalf("the child ended by itself after %d lines", len(told))
	}
	return told
}

func wantStored(t *testing.T, s *Store, line string) {
	t.Helper()
	kind, text, _ := strings.Cut(line, " ")
	id, err := nimbus.ParseID(text)
	must(t, err)
	if kind == "entry" {
		_, err = s.Ledger().Entry(t.Context(), id)
	} else {
		_, err = s.Records().Invocation(t.Context(), id)
	}
	if err != nil {
		t.Errorf("%s was told to be stored: %v", line, err)
	}
}

// crashChild appends until it is killed and prints what it is told has been stored.
func crashChild(dir string) {
	ctx := context.Background()
	s, err := Open(ctx, Config{Dir: dir})
	if err != nil {
		panic(err)
	}
	for range 4 {
		go func() {
			for {
				a, err := s.Ledger().Append(ctx, sampleEntry())
				if err != nil {
					panic(err)
				}
				fmt.Println("entry", a.ID)
			}
		}()
	}
	for {
		r := sampleRecord()
		if err := s.Records().Append(ctx, []nimbus.Invocation{r}); err != nil {
			panic(err)
		}
		fmt.Println("record", r.ID)
	}
}
