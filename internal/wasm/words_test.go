package wasm

import (
	"io"
	"strings"
	"testing"
)

func TestLastWords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3*maxLine)
	for printed, want := range map[string]string{
		"":                                       "",
		"one\ntwo":                               "two",
		"one\n \n\n":                             "one",
		"a log\npanic: oh\n\ngoroutine 1:\n\tat": "panic: oh",
		"fatal error: out of memory\nmore\n":     "fatal error: out of memory",
		"thread 'main' panicked at src/lib.rs:2:5:\nindex out of bounds\nnote: run with\n": "thread 'main' panicked at src/lib.rs:2:5: index out of bounds",
		"thread 'main' panicked at src/lib.rs:2:5:":                                        "thread 'main' panicked at src/lib.rs:2:5:",
		long: long[:maxLine],
	} {
		for _, step := range []int{1, 7, len(printed) + 1} {
			w := lastWords{to: io.Discard}
			for at := 0; at < len(printed); at += step {
				if _, err := w.Write([]byte(printed[at:min(at+step, len(printed))])); err != nil {
					t.Fatal(err)
				}
			}
			if got := w.reason(); got != want {
				t.Errorf("%.60q by %d: got %q, want %q", printed, step, got, want)
			}
		}
	}
}
