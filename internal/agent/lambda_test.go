//go:build linux

package agent_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// onLambda returns an instance of testdata/lambda, which is built on aws-lambda-go.
func onLambda(t testing.TB, role string, env map[string]string) *instance {
	t.Helper()
	i := unstarted(t, role, "lambda")
	if meta := i.init(t, env); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	return i
}

func TestLambda(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"go", "custom"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			i := onLambda(t, role, nil)
			for n := range 20 {
				i.want(t, do(t, "count", "", 0), fmt.Sprint(n+1)) // one process, kept
			}
			i.want(t, do(t, "", "ä€𝄞", 3), `{"do":"","text":"ä€𝄞","size":3}`)
			i.want(t, do(t, "", strings.Repeat("x", 500_000), 3), `{"do":"","text":"`+strings.Repeat("x", 500_000)+`","size":3}`)
			i.want(t, do(t, "log", "a line", 0), "null")
			i.wantPrinted(t, "a line\na line\n")
		})
	}
}

func TestLambdaContext(t *testing.T) {
	t.Parallel()
	i := onLambda(t, "go", nil)
	_, result := i.exec(t, do(t, "context", "", 0))
	var got map[string]any
	if err := json.Unmarshal([]byte(result), &got); err != nil {
		t.Fatal(err)
	}
	trace := "Root=1-abababab-abababababababababababab;Parent=cdcdcdcdcdcdcdcd;Sampled=1"
	if got["id"] != execMeta().RequestID || got["arn"] != "arn:nimbus:lambda:local:default:function:hello:7" || got["name"] != "hello" ||
		got["version"] != "7" || got["memory"] != 128.0 || got["trace"] != trace || got["seconds"].(float64) < patience.Seconds()/2 {
		t.Errorf("got %v", got)
	}
}

func TestLambdaFailures(t *testing.T) {
	t.Parallel()
	i := onLambda(t, "go", nil)
	i.wantError(t, do(t, "error", "not today", 0), "errorString", "not today")
	i.want(t, do(t, "count", "", 0), "2")
	meta := i.wantError(t, do(t, "panic", "boom", 0), "string", "boom")
	if !slices.ContainsFunc(meta.Stack, func(line string) bool { return strings.Contains(line, "main.go:") && strings.HasSuffix(line, "handle") }) {
		t.Errorf("the stack is %q", meta.Stack)
	}
	i.want(t, do(t, "count", "", 0), "1") // aws-lambda-go ends after a panic
	meta = i.wantError(t, do(t, "goroutine", "in the background", 0), "panic", "in the background")
	if len(meta.Stack) == 0 {
		t.Error("no stack")
	}
	i.want(t, do(t, "count", "", 0), "1")
	i.wantError(t, do(t, "exit", "", 4), "Runtime.ExitError", "exit status 4")
	i.wantError(t, do(t, "large", "", maxResponse), "Function.ResponseSizeTooLarge", "over the bound of 1048576")
	i.want(t, do(t, "count", "", 0), "1") // and after a response that was refused
	i.wantError(t, `[]`, "UnmarshalTypeError", "")
	i.want(t, do(t, "count", "", 0), "2")
}

func TestLambdaStreams(t *testing.T) {
	t.Parallel()
	i := onLambda(t, "go", nil)
	const size = 700_000 // of three bytes, more than the credit
	prelude := `json:{"cookies":["a=b"],"headers":{"Content-Type":"text/plain"},"statusCode":201}`
	meta, result, items := i.stream(t, do(t, "stream", "", size))
	if !meta.OK || !meta.Streamed || result != "" || len(items) < 2 || items[0] != prelude {
		t.Fatalf("got %+v, %d items, %.100q", meta, len(items), items)
	}
	var body strings.Builder
	for _, item := range items[1:] {
		body.WriteString(strings.TrimPrefix(item, "bytes:"))
	}
	if body.String() != strings.Repeat("€", size) {
		t.Errorf("the body has %d bytes", body.Len())
	}

	// In the middle it fails, which the trailers tell.
	meta, _, items = i.stream(t, do(t, "stream, then fail", "", 0))
	if meta.OK || meta.Type != "errorString" || meta.Message != "the source ran dry" || !slices.Equal(items, []string{prelude, "bytes:begun"}) {
		t.Errorf("got %+v, %q", meta, items)
	}

	// It is over the bound.
	meta, _, _ = i.stream(t, do(t, "stream", "", maxStream))
	if meta.OK || meta.Type != "Function.ResponseSizeTooLarge" {
		t.Errorf("got %+v", meta)
	}

	// The caller wants no stream.
	i.want(t, do(t, "stream", "", 2), `{"body":"€€","cookies":["a=b"],"headers":{"Content-Type":"text/plain"},"statusCode":201}`)

	// The reader goes away.
	call := execMeta()
	call.Stream = true
	gone := fmt.Errorf("gone")
	if _, _, err := i.conn.Exec(testContext(t), call, []byte(do(t, "stream", "", 2_000_000)), func(string, []byte) error { return gone }); err != gone { //nolint:errorlint // as it is
		t.Errorf("got %v", err)
	}
	i.want(t, `{"do":"","text":"","size":1}`, `{"do":"","text":"","size":1}`)
}

func TestLambdaAhead(t *testing.T) {
	t.Parallel()
	t.Run("it takes long", func(t *testing.T) {
		t.Parallel()
		i := onLambda(t, "go", map[string]string{"AHEAD": "slow"})
		i.want(t, do(t, "count", "", 0), "1")
	})
	t.Run("it fails", func(t *testing.T) {
		t.Parallel()
		for _, role := range []string{"go", "custom"} {
			i := unstarted(t, role, "lambda")
			meta := i.init(t, map[string]string{"AHEAD": "fail"})
			if meta.OK || meta.Type != "Runtime.ExitError" || meta.Message != "exit status 3: no database" {
				t.Errorf("%s: got %+v", role, meta)
			}
		}
	})
}

// TestHammerCancels has readers go away at any item of a stream: no call after that is hurt.
func TestHammerCancels(t *testing.T) {
	t.Parallel()
	i := onLambda(t, "go", nil)
	gone := errors.New("the reader went away")
	for n := range 60 {
		call := execMeta()
		call.Stream = true
		seen := 0
		_, _, err := i.conn.Exec(testContext(t), call, []byte(do(t, "stream", "", 20_000*(n%10+1))), func(string, []byte) error {
			if seen++; seen > n%7 {
				return gone
			}
			return nil
		})
		if err != nil && !errors.Is(err, gone) {
			t.Fatalf("call %d: %v", n, err)
		}
		if meta, result := i.exec(t, `{"do":"","text":"","size":1}`); !meta.OK || result != `{"do":"","text":"","size":1}` {
			t.Fatalf("after call %d: %s, %+v", n, result, meta)
		}
	}
}

// BenchmarkLambda is a warm call of aws-lambda-go through the Runtime API.
func BenchmarkLambda(b *testing.B) {
	i := onLambda(b, "go", nil)
	meta := execMeta()
	event := []byte(`{"do":"count"}`)
	ctx := testContext(b)
	for b.Loop() {
		if meta, _, err := i.conn.Exec(ctx, meta, event, nil); err != nil || !meta.OK {
			b.Fatal(meta, err)
		}
	}
}
