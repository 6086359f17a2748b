// Package auth holds the use cases of API keys: who presents one, and who may make and remove them. Only
// hashes of secrets are kept, and they are compared in constant time.
package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"golang.org/x/sync/semaphore"

	"nimbus"
	"nimbus/internal/store"
)

// Config sets a Service's bounds.
type Config struct {
	CacheKeys int           // keys remembered; 0 = 1024
	CacheTime time.Duration // how long a key is remembered that this process did not delete; 0 = 1 minute
}

func (c Config) withDefaults() Config {
	if c.CacheKeys == 0 {
		c.CacheKeys = 1024
	}
	if c.CacheTime == 0 {
		c.CacheTime = time.Minute
	}
	return c
}

// Service is the use cases of API keys. Safe for concurrent use.
type Service struct {
	keys  store.APIKeys
	cache *cache
	// removal lets one deletion at a time look whether its key is the last admin's.
	removal *semaphore.Weighted
}

// New returns the service.
func New(keys store.APIKeys, cfg Config) *Service {
	cfg = cfg.withDefaults()
	return &Service{keys: keys, cache: newCache(cfg.CacheKeys, cfg.CacheTime), removal: semaphore.NewWeighted(1)}
}

// Authenticate returns who presents the text of a key. A key that is garbled, unknown, wrong or expired is
// CodeUnauthenticated, without saying which. A key that was seen before costs no read of the store.
func (s *Service) Authenticate(ctx context.Context, presented string) (nimbus.Principal, error) {
	id, secret, ok := parse(presented)
	if !ok {
		return nimbus.Principal{}, errUnknown()
	}
	now := time.Now()
	k, err := s.lookup(ctx, id, now)
	if nimbus.CodeOf(err) == nimbus.CodeNotFound {
		return nimbus.Principal{}, errUnknown()
	}
	if err != nil {
		return nimbus.Principal{}, err
	}
	sum := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(sum[:], k.hash[:]) != 1 || expired(k.expires, now) {
		return nimbus.Principal{}, errUnknown()
	}
	return k.principal, nil
}

func (s *Service) lookup(ctx context.Context, id nimbus.ID, now time.Time) (*known, error) {
	k, ticket := s.cache.get(id, now)
	if k != nil {
		return k, nil
	}
	key, err := s.keys.APIKey(ctx, id)
	if err != nil {
		return nil, err
	}
	k = &known{hash: key.Hash, expires: key.ExpiresAt, principal: key.Principal(), read: now}
	s.cache.put(id, k, ticket)
	return k, nil
}

func expired(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

func errUnknown() error {
	return nimbus.Errorf(nimbus.CodeUnauthenticated, "this API key is not valid")
}
