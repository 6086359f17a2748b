package function

import (
	"testing"

	"nimbus"
)

func TestPrincipals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	mine := b.create(t, "mine", text(echo))
	theirs, err := b.Create(t.Context(), owner(), "team", "theirs", text(echo))
	if err != nil {
		t.Fatal(err)
	}
	principal := func(scope nimbus.Scope, namespaces ...string) nimbus.Principal {
		return nimbus.Principal{Subject: "test", Tenant: nimbus.DefaultTenant, Namespaces: namespaces, Scopes: []nimbus.Scope{scope}}
	}
	stranger := nimbus.Principal{Subject: "stranger", Tenant: "other", Scopes: []nimbus.Scope{nimbus.ScopeAdmin}}
	read := func(p nimbus.Principal, ref Ref) error { _, err := b.Get(t.Context(), p, ref); return err }
	code := func(p nimbus.Principal, ref Ref) error { _, err := b.Code(t.Context(), p, ref); return err }
	change := func(p nimbus.Principal, ref Ref) error { _, err := b.Update(t.Context(), p, ref, Input{}); return err }
	remove := func(p nimbus.Principal, ref Ref) error { return b.Delete(t.Context(), p, ref) }
	list := func(p nimbus.Principal, ref Ref) error {
		_, err := b.List(t.Context(), p, Query{Namespace: ref.Namespace})
		return err
	}
	add := func(p nimbus.Principal, ref Ref) error {
		_, err := b.Create(t.Context(), p, ref.Namespace, ref.Function, text(echo))
		return err
	}
	named := Ref{Namespace: "team", Function: "theirs"}
	for name, c := range map[string]struct {
		p    nimbus.Principal
		do   func(nimbus.Principal, Ref) error
		ref  Ref
		want nimbus.Code
	}{
		"reader reads":                         {principal(nimbus.ScopeRead), read, named, ""},
		"reader reads by id":                   {principal(nimbus.ScopeRead), read, byID(theirs), ""},
		"invoker doesn't read":                 {principal(nimbus.ScopeInvoke), read, named, nimbus.CodeForbidden},
		"invoker doesn't read by id":           {principal(nimbus.ScopeInvoke), read, byID(theirs), nimbus.CodeForbidden},
		"invoker doesn't read code":            {principal(nimbus.ScopeInvoke), code, named, nimbus.CodeForbidden},
		"reader doesn't change":                {principal(nimbus.ScopeRead), change, named, nimbus.CodeForbidden},
		"reader doesn't delete":                {principal(nimbus.ScopeRead), remove, byID(theirs), nimbus.CodeForbidden},
		"reader doesn't create":                {principal(nimbus.ScopeRead), add, Ref{Function: "new"}, nimbus.CodeForbidden},
		"writer reads":                         {principal(nimbus.ScopeWrite), read, named, ""},
		"writer changes":                       {principal(nimbus.ScopeWrite), change, named, ""},
		"out of reach by name":                 {principal(nimbus.ScopeAdmin, "team"), read, Ref{Namespace: "default", Function: "mine"}, nimbus.CodeNotFound},
		"out of reach by id":                   {principal(nimbus.ScopeAdmin, "team"), read, byID(mine), nimbus.CodeNotFound},
		"out of reach before scope":            {principal(nimbus.ScopeInvoke, "team"), remove, byID(mine), nimbus.CodeNotFound},
		"own namespace is the default":         {principal(nimbus.ScopeRead, "team"), read, Ref{Function: "theirs"}, ""},
		"id in another namespace than said":    {principal(nimbus.ScopeRead), read, Ref{Namespace: "team", Function: mine.ID.String()}, nimbus.CodeNotFound},
		"listing out of reach":                 {principal(nimbus.ScopeRead, "team"), list, Ref{Namespace: "default"}, nimbus.CodeNotFound},
		"listing without the scope":            {principal(nimbus.ScopeInvoke), list, Ref{}, nimbus.CodeForbidden},
		"creating out of reach":                {principal(nimbus.ScopeWrite, "team"), add, Ref{Namespace: "default", Function: "new"}, nimbus.CodeNotFound},
		"another tenant by name":               {stranger, read, named, nimbus.CodeNotFound},
		"another tenant by id":                 {stranger, read, byID(theirs), nimbus.CodeNotFound},
		"another tenant deletes":               {stranger, remove, byID(theirs), nimbus.CodeNotFound},
		"another tenant creates in team":       {stranger, add, Ref{Namespace: "team", Function: "new"}, nimbus.CodeNotFound},
		"another tenant creates what is there": {stranger, add, named, nimbus.CodeNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, c.do(c.p, c.ref), c.want)
		})
	}
	if list, err := b.List(t.Context(), stranger, Query{Namespace: "team"}); err != nil || len(list.Items) != 0 {
		t.Errorf("another tenant lists %d functions, %v", len(list.Items), err)
	}
}
