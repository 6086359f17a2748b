package client

import (
	"fmt"
	"iter"
	"net/http"
	"testing"
)

// numbered serves a list: two pages of two items.
func numbered(item string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		first, next := 1, `,"next_cursor":"second"`
		if r.URL.Query().Get("cursor") == "second" {
			first, next = 3, ""
		}
		answer(w, http.StatusOK, "application/json", fmt.Sprintf(`{"items":[`+item+`,`+item+`]%s}`, first, first+1, next))
	}
}

func collect[T any](t *testing.T, items iter.Seq2[T, error], text func(T) string) string {
	t.Helper()
	all := ""
	for item, err := range items {
		if err != nil {
			t.Fatal(err)
		}
		all += text(item) + " "
	}
	return all
}

func TestListsAreReadPageByPage(t *testing.T) {
	t.Parallel()
	const want = "1 2 3 4 "
	named := serve(t, numbered(`{"id":"%d"}`))
	if got := collect(t, named.APIKeys(t.Context()), func(k APIKey) string { return k.ID }); got != want {
		t.Errorf("API keys %q", got)
	}
	if got := collect(t, named.Invocations(t.Context(), InvocationQuery{}), func(i Invocation) string { return i.ID }); got != want {
		t.Errorf("invocations %q", got)
	}
	lines := serve(t, numbered(`{"text":"%d"}`))
	if got := collect(t, lines.AllLogs(t.Context(), "f", LogQuery{}), func(l LogLine) string { return l.Text }); got != want {
		t.Errorf("lines %q", got)
	}
}

func TestAListEndsWithItsError(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") != "" {
			answer(w, http.StatusForbidden, "application/problem+json", `{"code":"forbidden","detail":"no more","status":403}`)
			return
		}
		answer(w, http.StatusOK, "application/json", `{"items":[{"id":"1"}],"next_cursor":"second"}`)
	})
	var seen []string
	var last error
	for k, err := range c.APIKeys(t.Context()) {
		seen, last = append(seen, k.ID), err
	}
	if len(seen) != 2 || seen[0] != "1" || seen[1] != "" || last == nil {
		t.Errorf("%q, then %v", seen, last)
	}
}
