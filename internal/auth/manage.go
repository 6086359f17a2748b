package auth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"nimbus"
)

// KeyInput is what a user gives to make a key.
type KeyInput struct {
	Name       string
	Scopes     []nimbus.Scope
	Namespaces []string      // empty = all of the tenant
	ExpiresIn  time.Duration // 0 = never
}

const (
	minExpiry = time.Second
	maxExpiry = 10 * 365 * 24 * time.Hour
	maxList   = 100 // namespaces of one key
)

// Create makes a key and returns it with its text, which can't be had again. A principal can't grant more
// than it has.
func (s *Service) Create(ctx context.Context, p nimbus.Principal, in KeyInput) (nimbus.APIKey, string, error) {
	if err := p.RequireScope(nimbus.ScopeAdmin); err != nil {
		return nimbus.APIKey{}, "", err
	}
	if err := check(in); err != nil {
		return nimbus.APIKey{}, "", err
	}
	if err := mayGrant(p, in); err != nil {
		return nimbus.APIKey{}, "", err
	}
	return s.create(ctx, p.Tenant, in)
}

// List returns the keys of the principal's tenant that are within its reach, oldest first, without hashes.
// A page may hold fewer than asked for though there are more.
func (s *Service) List(ctx context.Context, p nimbus.Principal, page nimbus.Page) (nimbus.List[nimbus.APIKey], error) {
	var none nimbus.List[nimbus.APIKey]
	if err := p.RequireScope(nimbus.ScopeAdmin); err != nil {
		return none, err
	}
	page, err := page.Checked()
	if err != nil {
		return none, err
	}
	list, err := s.keys.ListAPIKeys(ctx, p.Tenant, page)
	if err != nil {
		return none, err
	}
	list.Items = slices.DeleteFunc(list.Items, func(k nimbus.APIKey) bool { return !covers(p, k) })
	for i := range list.Items {
		list.Items[i].Hash = [32]byte{}
	}
	return list, nil
}

// Delete removes a key; it is refused from then on. The last key that may do everything stays, because
// nobody could make another.
func (s *Service) Delete(ctx context.Context, p nimbus.Principal, idOrName string) error {
	if err := p.RequireScope(nimbus.ScopeAdmin); err != nil {
		return err
	}
	if err := s.removal.Acquire(ctx, 1); err != nil {
		return err
	}
	defer s.removal.Release(1)
	target, others, err := s.find(ctx, p, idOrName)
	if err != nil {
		return err
	}
	now := time.Now()
	if isAdmin(target, now) && !slices.ContainsFunc(others, func(k nimbus.APIKey) bool { return isAdmin(k, now) }) {
		return nimbus.Errorf(nimbus.CodeConflict,
			"%q is the last key that may do everything: make another before deleting it", target.Name)
	}
	err = s.keys.DeleteAPIKey(ctx, p.Tenant, target.ID)
	s.cache.forget(target.ID) // even so: the store may have deleted it and failed to say so
	return err
}

// EnsureAdmin makes a key that may do everything when the default tenant has none that is valid, and
// returns its text; "" when there is one.
func (s *Service) EnsureAdmin(ctx context.Context) (string, error) {
	now := time.Now()
	taken := make(map[string]bool)
	for k, err := range s.all(ctx, nimbus.DefaultTenant) {
		if err != nil {
			return "", fmt.Errorf("look for an admin key: %w", err)
		}
		if isAdmin(k, now) {
			return "", nil
		}
		taken[k.Name] = true
	}
	name := "admin"
	for n := 2; taken[name]; n++ {
		name = fmt.Sprintf("admin-%d", n)
	}
	_, text, err := s.create(ctx, nimbus.DefaultTenant, KeyInput{Name: name, Scopes: []nimbus.Scope{nimbus.ScopeAdmin}})
	return text, err
}

func (s *Service) create(ctx context.Context, tenant string, in KeyInput) (nimbus.APIKey, string, error) {
	secret := newSecret()
	k := nimbus.APIKey{
		ID: nimbus.NewID(), Tenant: tenant, Name: in.Name, Hash: sha256.Sum256([]byte(secret)),
		Scopes:     slices.Compact(slices.Sorted(slices.Values(in.Scopes))),
		Namespaces: slices.Compact(slices.Sorted(slices.Values(in.Namespaces))),
		CreatedAt:  time.Now().UTC().Truncate(time.Microsecond),
	}
	if in.ExpiresIn != 0 {
		k.ExpiresAt = k.CreatedAt.Add(in.ExpiresIn)
	}
	if err := s.keys.CreateAPIKey(ctx, &k); err != nil {
		return nimbus.APIKey{}, "", err
	}
	k.Hash = [32]byte{}
	return k, format(k.ID, secret), nil
}

// find returns the key meant, which an id or a name tells, and the others of the tenant.
func (s *Service) find(ctx context.Context, p nimbus.Principal, idOrName string) (target nimbus.APIKey, others []nimbus.APIKey, err error) {
	for k, err := range s.all(ctx, p.Tenant) {
		if err != nil {
			return target, nil, err
		}
		if covers(p, k) && (k.ID.String() == strings.ToLower(idOrName) || k.Name == idOrName) {
			target = k
			continue
		}
		others = append(others, k)
	}
	if target.ID.IsZero() {
		return target, nil, nimbus.Errorf(nimbus.CodeNotFound, "API key %q was not found", idOrName)
	}
	return target, others, nil
}

func (s *Service) all(ctx context.Context, tenant string) iter.Seq2[nimbus.APIKey, error] {
	return func(yield func(nimbus.APIKey, error) bool) {
		page := nimbus.Page{Limit: nimbus.MaxPageLimit}
		for {
			list, err := s.keys.ListAPIKeys(ctx, tenant, page)
			if err != nil {
				yield(nimbus.APIKey{}, err)
				return
			}
			for _, k := range list.Items {
				if !yield(k, nil) {
					return
				}
			}
			if list.Next == "" {
				return
			}
			page.Cursor = list.Next
		}
	}
}

// isAdmin reports whether the key may do everything, now.
func isAdmin(k nimbus.APIKey, now time.Time) bool {
	return slices.Contains(k.Scopes, nimbus.ScopeAdmin) && len(k.Namespaces) == 0 && !expired(k.ExpiresAt, now)
}

// covers reports whether the key reaches nothing that the principal does not.
func covers(p nimbus.Principal, k nimbus.APIKey) bool { return coversNamespaces(p, k.Namespaces) }

func coversNamespaces(p nimbus.Principal, namespaces []string) bool {
	if len(namespaces) == 0 {
		return len(p.Namespaces) == 0
	}
	return !slices.ContainsFunc(namespaces, func(ns string) bool { return !p.Reaches(ns) })
}

func mayGrant(p nimbus.Principal, in KeyInput) error {
	for _, scope := range in.Scopes {
		if !p.Can(scope) {
			return nimbus.Errorf(nimbus.CodeForbidden, "%s can't grant the scope %q, which it does not have", p.Subject, scope)
		}
	}
	if !coversNamespaces(p, in.Namespaces) {
		return nimbus.Errorf(nimbus.CodeForbidden,
			"%s can grant only the namespaces that it has: %s", p.Subject, strings.Join(p.Namespaces, ", "))
	}
	return nil
}

func check(in KeyInput) error {
	var v nimbus.Invalid
	if !nimbus.ValidName(in.Name) {
		v.Add("name", nimbus.NameRule)
	}
	if len(in.Scopes) == 0 {
		v.Add("scopes", "is required: %s", scopeList())
	}
	for _, scope := range in.Scopes {
		if !slices.Contains(nimbus.Scopes(), scope) {
			v.Add("scopes", "%.50q is none of %s", scope, scopeList())
		}
	}
	if len(in.Namespaces) > maxList {
		v.Add("namespaces", "must be at most %d", maxList)
	}
	for _, ns := range in.Namespaces {
		if !nimbus.ValidName(ns) {
			v.Add("namespaces", "%.70q "+nimbus.NameRule, ns)
		}
	}
	if in.ExpiresIn != 0 && (in.ExpiresIn < minExpiry || in.ExpiresIn > maxExpiry) {
		v.Add("expires_in", "must be %s to %s, or 0 for never", minExpiry, maxExpiry)
	}
	return v.Err()
}

func scopeList() string {
	names := make([]string, len(nimbus.Scopes()))
	for i, scope := range nimbus.Scopes() {
		names[i] = string(scope)
	}
	return strings.Join(names, ", ")
}
