package storetest

import (
	"crypto/sha256"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/store"
)

func sampleKey(name string) *nimbus.APIKey {
	return &nimbus.APIKey{ID: nimbus.NewID(), Tenant: nimbus.DefaultTenant, Name: name, Hash: sha256.Sum256([]byte(name)),
		Scopes: []nimbus.Scope{nimbus.ScopeRead, nimbus.ScopeInvoke}, Namespaces: []string{"a", "b"},
		CreatedAt: moment(1), ExpiresAt: moment(2)}
}

func testAPIKeys(t *testing.T, s store.Control) {
	if got(s.HasAPIKeys(t.Context()))(t) {
		t.Error("a new store has API keys")
	}
	key := sampleKey("key")
	must(t, s.CreateAPIKey(t.Context(), key))
	if !got(s.HasAPIKeys(t.Context()))(t) {
		t.Error("a store with a key has none")
	}
	equal(t, got(s.APIKey(t.Context(), key.ID))(t), key)
	wantCode(t, s.CreateAPIKey(t.Context(), sampleKey("key")), nimbus.CodeConflict)

	eternal := sampleKey("key")
	eternal.Tenant, eternal.Namespaces, eternal.Scopes = "stranger", nil, nil
	eternal.ExpiresAt = time.Time{}
	must(t, s.CreateAPIKey(t.Context(), eternal))
	equal(t, got(s.APIKey(t.Context(), eternal.ID))(t), eternal)
	wantTimes(t, key, got(s.APIKey(t.Context(), key.ID))(t), func(k *nimbus.APIKey) []time.Time {
		return []time.Time{k.CreatedAt, k.ExpiresAt}
	})

	wantCode(t, s.DeleteAPIKey(t.Context(), "stranger", key.ID), nimbus.CodeNotFound)
	must(t, s.DeleteAPIKey(t.Context(), key.Tenant, key.ID))
	wantCode(t, s.DeleteAPIKey(t.Context(), key.Tenant, key.ID), nimbus.CodeNotFound)
	_, err := s.APIKey(t.Context(), key.ID)
	wantCode(t, err, nimbus.CodeNotFound)
	must(t, s.CreateAPIKey(t.Context(), sampleKey("key")))
}

func testListAPIKeys(t *testing.T, s store.Control) {
	var want []nimbus.APIKey
	for i := range 7 {
		key := sampleKey(numbered("key", 9-i))
		key.CreatedAt = moment(i / 2) // some are of one age
		must(t, s.CreateAPIKey(t.Context(), key))
		want = append(want, *key)
	}
	foreign := sampleKey("key")
	foreign.Tenant = "stranger"
	must(t, s.CreateAPIKey(t.Context(), foreign))
	list := func(p nimbus.Page) (nimbus.List[nimbus.APIKey], error) {
		return s.ListAPIKeys(t.Context(), nimbus.DefaultTenant, p)
	}
	for limit := 1; limit <= 8; limit++ {
		equal(t, pages(t, limit, list), want)
	}
	refusesBadPages(t, list)
}
