package main

import "testing"

func TestNearestName(t *testing.T) {
	t.Parallel()
	verbs := []string{"deploy", "function", "fn", "invoke", "invocation", "logs", "version"}
	for word, want := range map[string]string{
		"deplyo": "deploy", "Deploy": "deploy", "fonction": "function", "log": "logs", "ver": "version",
		"invok": "invoke", "invo": "invoke", "xyz": "", "q": "", "kubernetes": "",
	} {
		if got := nearest(word, verbs); got != want {
			t.Errorf("nearest to %q is %q, want %q", word, got, want)
		}
	}
}
