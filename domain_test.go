package nimbus

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestErrorKeepsItsCodeThroughWrapping(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection refused")
	err := fmt.Errorf("read function: %w", WrapError(CodeUnavailable, cause, "the store is gone"))
	if CodeOf(err) != CodeUnavailable {
		t.Errorf("its code is %q", CodeOf(err))
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if CodeOf(cause) != CodeInternal || CodeOf(nil) != "" {
		t.Errorf("a foreign error is %q and nil %q", CodeOf(cause), CodeOf(nil))
	}
}

func TestInvalidNamesEveryField(t *testing.T) {
	t.Parallel()
	var v Invalid
	if v.Err() != nil {
		t.Fatal("nothing added gave an error")
	}
	v.Add("memory_mb", "must be %d to %d", 128, 10240)
	v.Add("name", "is needed")
	err := v.Err()
	for _, want := range []string{"memory_mb", "128 to 10240", "name", "is needed"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if CodeOf(err) != CodeInvalid {
		t.Errorf("its code is %q", CodeOf(err))
	}
}

func TestPrincipalRequire(t *testing.T) {
	t.Parallel()
	reader := Principal{Subject: "apikey:r", Namespaces: []string{"team-a"}, Scopes: []Scope{ScopeRead}}
	writer := Principal{Subject: "apikey:w", Scopes: []Scope{ScopeWrite}}
	for _, tc := range []struct {
		who       Principal
		scope     Scope
		namespace string
		want      Code
	}{
		{LocalPrincipal(), ScopeAdmin, "anything", ""},
		{reader, ScopeRead, "team-a", ""},
		{reader, ScopeRead, "team-b", CodeNotFound},
		{reader, ScopeWrite, "team-b", CodeNotFound}, // its existence is not told
		{reader, ScopeWrite, "team-a", CodeForbidden},
		{reader, ScopeInvoke, "team-a", CodeForbidden},
		{writer, ScopeRead, "any", ""},
		{writer, ScopeInvoke, "any", CodeForbidden},
		{writer, ScopeAdmin, "any", CodeForbidden},
		{Principal{}, ScopeRead, "any", CodeForbidden},
	} {
		if got := CodeOf(tc.who.Require(tc.scope, tc.namespace)); got != tc.want {
			t.Errorf("%s asking %s in %s: %q, want %q", tc.who.Subject, tc.scope, tc.namespace, got, tc.want)
		}
	}
	if reader.DefaultNS() != "team-a" || LocalPrincipal().DefaultNS() != DefaultNamespace {
		t.Error("the default namespace is not the principal's")
	}
}

// The arrows are written out here again, so that a changed table is a changed test.
func TestStatusMoves(t *testing.T) {
	t.Parallel()
	legal := map[string]bool{
		"building>active": true, "building>failed": true, "failed>building": true,
		"active>inactive": true, "inactive>active": true,
	}
	for _, from := range Statuses() {
		for _, to := range Statuses() {
			if got := from.CanBecome(to); got != legal[string(from)+">"+string(to)] {
				t.Errorf("%s to %s: %v", from, to, got)
			}
		}
	}
}

func TestInvocationStatusMoves(t *testing.T) {
	t.Parallel()
	legal := map[string]bool{
		"pending>running": true, "pending>failed": true, "pending>timeout": true, "pending>cancelled": true,
		"running>success": true, "running>failed": true, "running>timeout": true, "running>cancelled": true,
	}
	for _, from := range InvocationStatuses() {
		for _, to := range InvocationStatuses() {
			if got := from.CanBecome(to); got != legal[string(from)+">"+string(to)] {
				t.Errorf("%s to %s: %v", from, to, got)
			}
			if from.Ended() && from.CanBecome(to) {
				t.Errorf("%s has ended and still moves to %s", from, to)
			}
		}
	}
}

func TestPageChecked(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]int{0: DefaultPageLimit, 1: 1, 100: 100} {
		if p, err := (Page{Limit: limit}).Checked(); err != nil || p.Limit != want {
			t.Errorf("limit %d became %d, %v", limit, p.Limit, err)
		}
	}
	for _, limit := range []int{-1, 101} {
		if _, err := (Page{Limit: limit}).Checked(); CodeOf(err) != CodeInvalid {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}
