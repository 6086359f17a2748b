package nimbus

import "slices"

// DefaultNamespace and DefaultTenant are what a request that names none is about.
const (
	DefaultNamespace = "default"
	DefaultTenant    = "default"
)

// Scope is a right an API key carries.
type Scope string

// The scopes. ScopeAdmin includes every other; ScopeWrite includes ScopeRead.
const (
	ScopeRead   Scope = "read"   // read functions, records and logs
	ScopeWrite  Scope = "write"  // create, change and delete functions
	ScopeInvoke Scope = "invoke" // call functions
	ScopeAdmin  Scope = "admin"  // API keys, backups, restores
)

// Scopes lists every Scope.
func Scopes() []Scope { return []Scope{ScopeRead, ScopeWrite, ScopeInvoke, ScopeAdmin} }

// Principal is who asks: every use case takes one and decides by it.
type Principal struct {
	Subject    string   // "local", "anonymous" or "apikey:<id>"
	Tenant     string   // the tenant its namespaces belong to
	Namespaces []string // the namespaces it may reach; empty = all of its tenant
	Scopes     []Scope
}

// LocalPrincipal is the caller of an installation that asks for no keys: it may do everything.
func LocalPrincipal() Principal {
	return Principal{Subject: "local", Tenant: DefaultTenant, Scopes: []Scope{ScopeAdmin}}
}

// Can reports whether the principal holds the scope, itself or through a wider one.
func (p Principal) Can(s Scope) bool {
	return slices.Contains(p.Scopes, s) || slices.Contains(p.Scopes, ScopeAdmin) ||
		s == ScopeRead && slices.Contains(p.Scopes, ScopeWrite)
}

// Reaches reports whether the namespace is one of the principal's.
func (p Principal) Reaches(namespace string) bool {
	return len(p.Namespaces) == 0 || slices.Contains(p.Namespaces, namespace)
}

// Require returns nil when the principal may use the scope in the namespace. A namespace out of reach is
// CodeNotFound, so that its existence is not told; a missing scope is CodeForbidden.
func (p Principal) Require(s Scope, namespace string) error {
	if !p.Reaches(namespace) {
		return Errorf(CodeNotFound, "namespace %q was not found", namespace)
	}
	return p.RequireScope(s)
}

// RequireScope is Require for what belongs to no namespace.
func (p Principal) RequireScope(s Scope) error {
	if !p.Can(s) {
		return Errorf(CodeForbidden, "this needs the scope %q, which %s does not have", s, p.Subject)
	}
	return nil
}

// RequireInstallation is Require for what shows or changes every namespace at once.
func (p Principal) RequireInstallation(s Scope) error {
	if len(p.Namespaces) > 0 {
		return Errorf(CodeForbidden, "this is about all namespaces, and %s is confined to some", p.Subject)
	}
	return p.RequireScope(s)
}

// DefaultNS returns the namespace meant by a request that names none.
func (p Principal) DefaultNS() string {
	if len(p.Namespaces) > 0 && !slices.Contains(p.Namespaces, DefaultNamespace) {
		return p.Namespaces[0]
	}
	return DefaultNamespace
}
