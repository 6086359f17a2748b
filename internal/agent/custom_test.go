//go:build linux

package agent_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"nimbus/internal/testenv"
)

// onShell returns a blank whose code is testdata/bootstrap.sh.
func onShell(t testing.TB) *instance {
	t.Helper()
	testenv.RequireCurl(t)
	script, err := os.ReadFile("testdata/bootstrap.sh")
	if err != nil {
		t.Fatal(err)
	}
	i := blank(t, "custom")
	i.write(t, "bootstrap", string(script), 0o755)
	return i
}

func TestCustom(t *testing.T) {
	t.Parallel()
	i := onShell(t)
	if meta := i.init(t, nil); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	i.want(t, `"echo"`, `"echo"`)
	i.want(t, `"tutorial"`, `"Echoing request: '\"tutorial\"'"`)
	i.want(t, `"empty"`, `null`)
	i.wantError(t, `"error"`, "Shell.Oops", "not today")
	i.wantError(t, `"bare error"`, "Runtime.Unknown", "not JSON")
	i.want(t, `"say"`, `null`)
	i.wantPrinted(t, "to stdout\n")
	i.wantPrinted(t, "to stderr\n")

	meta := execMeta()
	_, result, err := i.conn.Exec(testContext(t), meta, []byte(`"headers"`), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(result, &got); err != nil || got["id"] != meta.RequestID || int64(got["deadline"].(float64)) != meta.DeadlineMS ||
		got["arn"] != "arn:nimbus:lambda:local:default:function:hello:7" || !strings.HasPrefix(got["trace"].(string), "Root=1-abababab-") {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestCustomCodes has the API refuse what it is to refuse.
func TestCustomCodes(t *testing.T) {
	t.Parallel()
	i := onShell(t)
	if meta := i.init(t, nil); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	// A next while one is owed, an unknown id, an init error after init, no such path, no such method.
	i.want(t, `"codes"`, `[403,400,403,404,405]`)
	i.wantPrinted(t, "finished: 400 400\n")
	i.wantError(t, `"large"`, "Function.ResponseSizeTooLarge", "the response is 1048577 bytes, over the bound of 1048576")
	i.wantPrinted(t, "large: 413\n")
	i.wantError(t, `"chunked"`, "Function.ResponseSizeTooLarge", "over the bound of 1048576")
	i.wantPrinted(t, "chunked: 413\n")
	i.want(t, `"echo"`, `"echo"`)
}

func TestCustomStreams(t *testing.T) {
	t.Parallel()
	i := onShell(t)
	if meta := i.init(t, nil); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	if meta, _, items := i.stream(t, `"stream"`); !meta.Streamed || strings.ReplaceAll(strings.Join(items, ""), "text:", "") != "one € two" {
		t.Errorf("got %+v, %q", meta, items)
	}
	if meta, _, items := i.stream(t, `"prelude"`); !meta.Streamed ||
		!slices.Equal(items, []string{`json:{"headers":{"a":"b"},"statusCode":200}`, "bytes:the body"}) {
		t.Errorf("got %+v, %q", meta, items)
	}
	if meta, result, items := i.stream(t, `"echo"`); meta.Streamed || result != `"echo"` || len(items) > 0 {
		t.Errorf("got %+v, %q, %q", meta, result, items)
	}
	i.want(t, `"stream"`, `"one € two"`)
	i.want(t, `"prelude"`, `{"body":"the body","headers":{"a":"b"},"statusCode":200}`)
	i.wantError(t, `"no prelude"`, "Runtime.TruncatedResponse", "eight zero bytes")
}

func TestCustomEnds(t *testing.T) {
	t.Parallel()
	i := onShell(t)
	if meta := i.init(t, nil); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	for range 3 {
		i.want(t, `"leave"`, `"gone"`) // and is started again
	}
	i.wantError(t, `"die"`, "Runtime.ExitError", "exit status 7: last words")
	_, result := i.exec(t, `"orphan"`)
	child, err := strconv.Atoi(result)
	if err != nil {
		t.Fatal(err)
	}
	i.want(t, `"echo"`, `"echo"`)
	if err := syscall.Kill(child, 0); err != nil {
		t.Errorf("what a call left running is the bootstrap's own business, but: %v", err)
	}
	i.conn.Close()
	<-i.ended
	testenv.Eventually(t, patience, func() bool { return errors.Is(syscall.Kill(child, 0), syscall.ESRCH) })
}

func TestCustomInit(t *testing.T) {
	t.Parallel()
	t.Run("it reports", func(t *testing.T) {
		t.Parallel()
		meta := onShell(t).init(t, map[string]string{"AHEAD": "report"})
		if meta.OK || meta.Type != "Runtime.NoConfig" || meta.Message != "no config" || !slices.Equal(meta.Stack, []string{"one", "two"}) {
			t.Errorf("got %+v", meta)
		}
	})
	t.Run("it ends", func(t *testing.T) {
		t.Parallel()
		meta := onShell(t).init(t, map[string]string{"AHEAD": "status"})
		if meta.OK || meta.Type != "Runtime.ExitError" || meta.Message != "exit status 5" {
			t.Errorf("got %+v", meta)
		}
	})
	t.Run("it ends well", func(t *testing.T) {
		t.Parallel()
		meta := onShell(t).init(t, map[string]string{"AHEAD": "nothing"})
		if meta.OK || meta.Type != "Runtime.ExitError" || meta.Message != "it ended without asking the runtime API for an event: exit status 0" {
			t.Errorf("got %+v", meta)
		}
	})
	t.Run("there is none", func(t *testing.T) {
		t.Parallel()
		i := blank(t, "custom")
		i.write(t, "main.sh", "#!/bin/sh\n", 0o755)
		meta := i.init(t, nil)
		if meta.OK || meta.Message != "bootstrap can't be started: it is not there; the code has main.sh" {
			t.Errorf("got %+v", meta)
		}
	})
}
