package auth

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"nimbus"
	"nimbus/internal/store"
	"nimbus/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counted counts reads of single keys.
type counted struct {
	store.APIKeys
	reads atomic.Int64
}

func (c *counted) APIKey(ctx context.Context, id nimbus.ID) (*nimbus.APIKey, error) {
	c.reads.Add(1)
	return c.APIKeys.APIKey(ctx, id)
}

func newService(t testing.TB, cfg Config) (*Service, *counted) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), sqlite.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	keys := &counted{APIKeys: db.Control()}
	return New(keys, cfg), keys
}

func owner() nimbus.Principal { return nimbus.LocalPrincipal() }

func create(t testing.TB, s *Service, name string, scopes ...nimbus.Scope) (nimbus.APIKey, string) {
	t.Helper()
	k, text, err := s.Create(t.Context(), owner(), KeyInput{Name: name, Scopes: scopes})
	if err != nil {
		t.Fatal(err)
	}
	return k, text
}

func wantCode(t testing.TB, err error, want nimbus.Code) {
	t.Helper()
	if got := nimbus.CodeOf(err); got != want {
		t.Errorf("error = %v, want code %q", err, want)
	}
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	s, _ := newService(t, Config{})
	k, text, err := s.Create(t.Context(), owner(), KeyInput{
		Name: "ci", Scopes: []nimbus.Scope{nimbus.ScopeWrite, nimbus.ScopeInvoke, nimbus.ScopeWrite}, Namespaces: []string{"b", "a", "b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if k.Hash != [32]byte{} || !strings.HasPrefix(text, "nbs_"+k.ID.String()+"_") {
		t.Errorf("created %+v with the text %s", k, text)
	}
	for range 2 { // from the store, then from memory
		p, err := s.Authenticate(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		if p.Subject != "apikey:"+k.ID.String() || p.Tenant != nimbus.DefaultTenant ||
			!slices.Equal(p.Namespaces, []string{"a", "b"}) ||
			!slices.Equal(p.Scopes, []nimbus.Scope{nimbus.ScopeInvoke, nimbus.ScopeWrite}) {
			t.Errorf("principal = %+v", p)
		}
	}
}

func TestAuthenticateRefusesAlike(t *testing.T) {
	t.Parallel()
	s, keys := newService(t, Config{})
	k, text := create(t, s, "known", nimbus.ScopeRead)
	_, other := create(t, s, "other", nimbus.ScopeRead)
	expired := nimbus.APIKey{
		ID: nimbus.NewID(), Tenant: nimbus.DefaultTenant, Name: "old", Scopes: k.Scopes,
		CreatedAt: k.CreatedAt, ExpiresAt: k.CreatedAt.Add(-time.Hour),
	}
	secret := newSecret()
	stored, err := keys.APIKeys.APIKey(t.Context(), k.ID)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(stored.Hash[:]), text[len(text)-8:]) {
		t.Error("the store holds the secret")
	}
	expired.Hash = hashOf(secret)
	if err := keys.CreateAPIKey(t.Context(), &expired); err != nil {
		t.Fatal(err)
	}
	want := ""
	for name, presented := range map[string]string{
		"nothing":             "",
		"garbage":             "garbage",
		"prefix only":         "nbs_",
		"unknown":             format(nimbus.NewID(), newSecret()),
		"wrong secret":        format(k.ID, newSecret()),
		"another's secret":    format(k.ID, other[len(other)-secretLength:]),
		"cut short":           text[:len(text)-1],
		"grown":               text + "0",
		"with a space":        " " + text,
		"of another case":     strings.ToUpper(text),
		"with a strange mark": text[:len(text)-1] + "-",
		"zero id":             "nbs_00000000-0000-0000-0000-000000000000_" + newSecret(),
		"expired":             format(expired.ID, secret),
		"very long":           strings.Repeat("nbs_", 1<<18),
	} {
		for range 2 {
			p, err := s.Authenticate(t.Context(), presented)
			wantCode(t, err, nimbus.CodeUnauthenticated)
			if want == "" {
				want = err.Error()
			}
			if err.Error() != want || p.Subject != "" {
				t.Errorf("%s: %v, %+v; others are told %s", name, err, p, want)
			}
		}
	}
	if _, err := s.Authenticate(t.Context(), text); err != nil {
		t.Error(err)
	}
}

func TestExpiryIsHonouredFromMemory(t *testing.T) {
	t.Parallel()
	s, keys := newService(t, Config{CacheTime: time.Hour})
	secret := newSecret()
	k := nimbus.APIKey{ID: nimbus.NewID(), Tenant: nimbus.DefaultTenant, Name: "brief", Hash: hashOf(secret),
		Scopes: []nimbus.Scope{nimbus.ScopeRead}, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
	if err := keys.CreateAPIKey(t.Context(), &k); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(t.Context(), format(k.ID, secret)); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Time]bool{
		k.ExpiresAt.Add(-1): false, k.ExpiresAt: true, k.ExpiresAt.Add(1): true,
	} {
		if expired(k.ExpiresAt, at) != want {
			t.Errorf("expired at %v is %v", at.Sub(k.ExpiresAt), !want)
		}
	}
	s.cache.mu.Lock()
	s.cache.keys[k.ID].expires = time.Now()
	s.cache.mu.Unlock()
	_, err := s.Authenticate(t.Context(), format(k.ID, secret))
	wantCode(t, err, nimbus.CodeUnauthenticated)
}

func TestWarmAuthenticationReadsNothing(t *testing.T) {
	t.Parallel()
	s, keys := newService(t, Config{CacheKeys: 2})
	_, text := create(t, s, "a", nimbus.ScopeRead)
	for range 10 {
		if _, err := s.Authenticate(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	if n := keys.reads.Load(); n != 1 {
		t.Errorf("%d reads for ten calls", n)
	}
	for i := range 10 {
		_, text := create(t, s, fmt.Sprint("k", i), nimbus.ScopeRead)
		if _, err := s.Authenticate(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.cache.keys); n != 2 {
		t.Errorf("%d keys are remembered, want 2", n)
	}
}

func TestCacheForgetsInTime(t *testing.T) {
	t.Parallel()
	s, keys := newService(t, Config{CacheTime: 1})
	k, text := create(t, s, "a", nimbus.ScopeRead)
	if _, err := s.Authenticate(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	// Another process deletes it.
	if err := keys.DeleteAPIKey(t.Context(), k.Tenant, k.ID); err != nil {
		t.Fatal(err)
	}
	_, err := s.Authenticate(t.Context(), text)
	wantCode(t, err, nimbus.CodeUnauthenticated)
}

func TestStoreFailureIsNoRefusal(t *testing.T) {
	t.Parallel()
	s := New(failing{}, Config{})
	_, err := s.Authenticate(t.Context(), format(nimbus.NewID(), newSecret()))
	wantCode(t, err, nimbus.CodeUnavailable)
}

type failing struct{ store.APIKeys }

func (failing) APIKey(context.Context, nimbus.ID) (*nimbus.APIKey, error) {
	return nil, nimbus.Errorf(nimbus.CodeUnavailable, "the store is gone")
}

// A key deleted while it is being read is not remembered.
func TestDeletedWhileRead(t *testing.T) {
	t.Parallel()
	s, keys := newService(t, Config{CacheTime: time.Hour})
	create(t, s, "admin", nimbus.ScopeAdmin)
	k, text := create(t, s, "doomed", nimbus.ScopeRead)
	slow := &interleaved{APIKeys: keys}
	slow.after = func() {
		slow.after = nil
		if err := s.Delete(t.Context(), owner(), k.Name); err != nil {
			t.Error(err)
		}
	}
	s.keys = slow
	if _, err := s.Authenticate(t.Context(), text); err != nil {
		t.Errorf("it was valid when it was read, but: %v", err)
	}
	_, err := s.Authenticate(t.Context(), text)
	wantCode(t, err, nimbus.CodeUnauthenticated)
}

// interleaved does something between the read of a key and its return.
type interleaved struct {
	store.APIKeys
	after func()
}

func (i *interleaved) APIKey(ctx context.Context, id nimbus.ID) (*nimbus.APIKey, error) {
	k, err := i.APIKeys.APIKey(ctx, id)
	if i.after != nil {
		i.after()
	}
	return k, err
}

func TestConcurrentAuthentication(t *testing.T) {
	t.Parallel()
	s, _ := newService(t, Config{CacheKeys: 3})
	create(t, s, "admin", nimbus.ScopeAdmin)
	texts := make([]string, 6)
	for i := range texts {
		_, texts[i] = create(t, s, fmt.Sprint("k", i), nimbus.ScopeRead)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				if _, err := s.Authenticate(t.Context(), texts[(i+j)%5]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		if err := s.Delete(t.Context(), owner(), "k5"); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	_, err := s.Authenticate(t.Context(), texts[5])
	wantCode(t, err, nimbus.CodeUnauthenticated)
}

func TestText(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 1000 {
		id, secret := nimbus.NewID(), newSecret()
		if len(secret) != secretLength || seen[secret] {
			t.Fatalf("secret %q", secret)
		}
		seen[secret] = true
		gotID, gotSecret, ok := parse(format(id, secret))
		if !ok || gotID != id || gotSecret != secret {
			t.Fatalf("%s parses to %s, %s, %v", format(id, secret), gotID, gotSecret, ok)
		}
	}
}

func TestParseTakesOnlyWhatFormatMakes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`nbs_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}_[0-9A-Za-z+]{42,44}`).Draw(t, "text")
		if id, secret, ok := parse(text); ok && format(id, secret) != text && !id.IsZero() {
			t.Errorf("%s parses to %s, %s", text, id, secret)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(format(nimbus.NewID(), newSecret()))
	f.Add("nbs__")
	f.Fuzz(func(t *testing.T, text string) {
		if id, secret, ok := parse(text); ok && (len(secret) != secretLength || !strings.EqualFold(format(id, secret), text)) && !id.IsZero() {
			t.Errorf("%q parses to %s, %q", text, id, secret)
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	s, _ := newService(b, Config{})
	_, text := create(b, s, "a", nimbus.ScopeInvoke)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Authenticate(b.Context(), text); err != nil {
			b.Fatal(err)
		}
	}
}
