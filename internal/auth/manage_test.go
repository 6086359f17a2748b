package auth

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nimbus"
)

func hashOf(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	s, _ := newService(t, Config{})
	read := []nimbus.Scope{nimbus.ScopeRead}
	for name, c := range map[string]struct {
		in   KeyInput
		want []string
	}{
		"nothing":            {KeyInput{}, []string{"name", "scopes"}},
		"a bad name":         {KeyInput{Name: "a b", Scopes: read}, []string{"name"}},
		"an id for a name":   {KeyInput{Name: nimbus.NewID().String(), Scopes: read}, []string{"name"}},
		"an unknown scope":   {KeyInput{Name: "k", Scopes: []nimbus.Scope{"root"}}, []string{"scopes"}},
		"a bad namespace":    {KeyInput{Name: "k", Scopes: read, Namespaces: []string{"ok", "-"}}, []string{"namespaces"}},
		"many namespaces":    {KeyInput{Name: "k", Scopes: read, Namespaces: slices.Repeat([]string{"a"}, 101)}, []string{"namespaces"}},
		"expired before":     {KeyInput{Name: "k", Scopes: read, ExpiresIn: -time.Hour}, []string{"expires_in"}},
		"expiring at once":   {KeyInput{Name: "k", Scopes: read, ExpiresIn: 1}, []string{"expires_in"}},
		"expiring very late": {KeyInput{Name: "k", Scopes: read, ExpiresIn: maxExpiry + 1}, []string{"expires_in"}},
	} {
		_, text, err := s.Create(t.Context(), owner(), c.in)
		wantCode(t, err, nimbus.CodeInvalid)
		var got []string
		for _, f := range err.(*nimbus.Error).Fields {
			got = append(got, f.Field)
		}
		if !slices.Equal(got, c.want) || text != "" {
			t.Errorf("%s: at fault %v, want %v", name, got, c.want)
		}
	}
	create(t, s, "taken", nimbus.ScopeRead)
	_, _, err := s.Create(t.Context(), owner(), KeyInput{Name: "taken", Scopes: read})
	wantCode(t, err, nimbus.CodeConflict)
}

func TestExpiresIn(t *testing.T) {
	t.Parallel()
	s, _ := newService(t, Config{})
	k, text, err := s.Create(t.Context(), owner(), KeyInput{Name: "k", Scopes: []nimbus.Scope{nimbus.ScopeRead}, ExpiresIn: time.Hour})
	if err != nil || !k.ExpiresAt.Equal(k.CreatedAt.Add(time.Hour)) {
		t.Errorf("created %+v, %v", k, err)
	}
	if _, err := s.Authenticate(t.Context(), text); err != nil {
		t.Error(err)
	}
}

func TestNobodyGrantsMoreThanTheyHave(t *testing.T) {
	t.Parallel()
	s, _ := newService(t, Config{})
	admin := func(namespaces ...string) nimbus.Principal {
		return nimbus.Principal{Subject: "a", Tenant: nimbus.DefaultTenant, Namespaces: namespaces, Scopes: []nimbus.Scope{nimbus.ScopeAdmin}}
	}
	writer := admin()
	writer.Scopes = []nimbus.Scope{nimbus.ScopeWrite}
	for name, c := range map[string]struct {
		p    nimbus.Principal
		in   KeyInput
		want nimbus.Code
	}{
		"all to all":             {admin(), KeyInput{Scopes: nimbus.Scopes()}, ""},
		"own to own":             {admin("a", "b"), KeyInput{Scopes: nimbus.Scopes(), Namespaces: []string{"a"}}, ""},
		"own to another's":       {admin("a"), KeyInput{Scopes: nimbus.Scopes(), Namespaces: []string{"a", "b"}}, nimbus.CodeForbidden},
		"own to all":             {admin("a"), KeyInput{Scopes: nimbus.Scopes()}, nimbus.CodeForbidden},
		"without the scope":      {writer, KeyInput{Scopes: []nimbus.Scope{nimbus.ScopeRead}}, nimbus.CodeForbidden},
		"without it, whatever":   {writer, KeyInput{}, nimbus.CodeForbidden},
		"an anonymous principal": {nimbus.Principal{}, KeyInput{}, nimbus.CodeForbidden},
	} {
		c.in.Name = strings.NewReplacer(" ", "-", ",", "", "'", "").Replace(name)
		_, _, err := s.Create(t.Context(), c.p, c.in)
		if nimbus.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want code %q", name, err, c.want)
		}
	}
}

func TestListAndDelete(t *testing.T) {
	t.Parallel()
	s, _ := newService(t, Config{})
	_, adminText := create(t, s, "admin", nimbus.ScopeAdmin)
	for i := range 4 {
		create(t, s, fmt.Sprint("k", i), nimbus.ScopeRead)
	}
	list, err := s.List(t.Context(), owner(), nimbus.Page{Limit: 3})
	if err != nil || len(list.Items) != 3 || list.Next == "" {
		t.Fatalf("first page: %+v, %v", list, err)
	}
	rest, err := s.List(t.Context(), owner(), nimbus.Page{Limit: 3, Cursor: list.Next})
	if err != nil || len(rest.Items) != 2 || rest.Next != "" {
		t.Fatalf("second page: %+v, %v", rest, err)
	}
	for _, k := range slices.Concat(list.Items, rest.Items) {
		if k.Hash != [32]byte{} {
			t.Errorf("the hash of %s is told", k.Name)
		}
	}
	_, err = s.List(t.Context(), owner(), nimbus.Page{Limit: 101})
	wantCode(t, err, nimbus.CodeInvalid)

	if err := s.Delete(t.Context(), owner(), "k0"); err != nil {
		t.Error(err)
	}
	if err := s.Delete(t.Context(), owner(), strings.ToUpper(list.Items[2].ID.String())); err != nil {
		t.Error(err)
	}
	wantCode(t, s.Delete(t.Context(), owner(), "k0"), nimbus.CodeNotFound)
	wantCode(t, s.Delete(t.Context(), owner(), ""), nimbus.CodeNotFound)
	p, err := s.Authenticate(t.Context(), adminText)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.Delete(t.Context(), p, "admin"), nimbus.CodeConflict)
	reader := nimbus.Principal{Subject: "r", Tenant: nimbus.DefaultTenant, Scopes: []nimbus.Scope{nimbus.ScopeRead}}
	wantCode(t, s.Delete(t.Context(), reader, "k2"), nimbus.CodeForbidden)
	_, err = s.List(t.Context(), reader, nimbus.Page{})
	wantCode(t, err, nimbus.CodeForbidden)
}

func TestRestrictedAdminSeesItsOwn(t *testing.T) {
	t.Parallel()
	s, _ := newService(t, Config{})
	create(t, s, "root", nimbus.ScopeAdmin)
	create(t, s, "root2", nimbus.ScopeAdmin)
	if _, _, err := s.Create(t.Context(), owner(), KeyInput{Name: "team-key", Scopes: []nimbus.Scope{nimbus.ScopeRead}, Namespaces: []string{"team"}}); err != nil {
		t.Fatal(err)
	}
	lead := nimbus.Principal{Subject: "lead", Tenant: nimbus.DefaultTenant, Namespaces: []string{"team"}, Scopes: []nimbus.Scope{nimbus.ScopeAdmin}}
	list, err := s.List(t.Context(), lead, nimbus.Page{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Name != "team-key" {
		t.Errorf("it sees %+v, %v", list, err)
	}
	wantCode(t, s.Delete(t.Context(), lead, "root"), nimbus.CodeNotFound)
	if err := s.Delete(t.Context(), lead, "team-key"); err != nil {
		t.Error(err)
	}
	stranger := nimbus.Principal{Subject: "s", Tenant: "other", Scopes: []nimbus.Scope{nimbus.ScopeAdmin}}
	wantCode(t, s.Delete(t.Context(), stranger, "root"), nimbus.CodeNotFound)
}

func TestLastAdminStays(t *testing.T) {
	t.Parallel()
	s, keys := newService(t, Config{})
	create(t, s, "a", nimbus.ScopeAdmin)
	create(t, s, "reader", nimbus.ScopeRead)
	if _, _, err := s.Create(t.Context(), owner(), KeyInput{Name: "team", Scopes: []nimbus.Scope{nimbus.ScopeAdmin}, Namespaces: []string{"team"}}); err != nil {
		t.Fatal(err)
	}
	expired := nimbus.APIKey{ID: nimbus.NewID(), Tenant: nimbus.DefaultTenant, Name: "expired", Scopes: []nimbus.Scope{nimbus.ScopeAdmin},
		CreatedAt: time.Now(), ExpiresAt: time.Now().Add(-time.Hour)}
	if err := keys.CreateAPIKey(t.Context(), &expired); err != nil {
		t.Fatal(err)
	}
	// Neither a restricted nor an expired key takes the last one's place.
	wantCode(t, s.Delete(t.Context(), owner(), "a"), nimbus.CodeConflict)
	create(t, s, "b", nimbus.ScopeAdmin)

	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i, name := range []string{"a", "b"} {
		wg.Go(func() { errs[i] = s.Delete(t.Context(), owner(), name) })
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Errorf("of two deletions at once, one must be refused: %v, %v", errs[0], errs[1])
	}
	for _, name := range []string{"reader", "team", "expired"} {
		if err := s.Delete(t.Context(), owner(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEnsureAdmin(t *testing.T) {
	t.Parallel()
	s, keys := newService(t, Config{})
	expired := nimbus.APIKey{ID: nimbus.NewID(), Tenant: nimbus.DefaultTenant, Name: "admin", Scopes: []nimbus.Scope{nimbus.ScopeAdmin},
		CreatedAt: time.Now(), ExpiresAt: time.Now().Add(-time.Hour)}
	if err := keys.CreateAPIKey(t.Context(), &expired); err != nil {
		t.Fatal(err)
	}
	create(t, s, "reader", nimbus.ScopeRead)
	text, err := s.EnsureAdmin(t.Context())
	if err != nil || text == "" {
		t.Fatalf("EnsureAdmin = %q, %v", text, err)
	}
	p, err := s.Authenticate(t.Context(), text)
	if err != nil || p.RequireScope(nimbus.ScopeAdmin) != nil || len(p.Namespaces) != 0 {
		t.Errorf("the key is %+v, %v", p, err)
	}
	if again, err := s.EnsureAdmin(t.Context()); err != nil || again != "" {
		t.Errorf("again it is %q, %v", again, err)
	}
}
