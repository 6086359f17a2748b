package transport

import (
	"context"
	"net/http"
	"strings"

	"nimbus"
)

// Identity tells who asks. Its errors are *nimbus.Error.
type Identity interface {
	Principal(r *http.Request) (nimbus.Principal, error)
}

// Authenticator knows API keys.
type Authenticator interface {
	Authenticate(ctx context.Context, presented string) (nimbus.Principal, error)
}

// apiKeyHeader carries an API key where Authorization is wanted for the function itself.
const apiKeyHeader = "X-Api-Key"

// Keys is the identity of an installation that asks for API keys.
type Keys struct{ auth Authenticator }

// NewKeys returns the identity that auth knows.
func NewKeys(auth Authenticator) Keys { return Keys{auth: auth} }

// Principal implements Identity. The key comes as X-API-Key or as a bearer token; the header that carried it
// is taken off the request, so that no function ever sees it.
func (k Keys) Principal(r *http.Request) (nimbus.Principal, error) {
	key := r.Header.Get(apiKeyHeader)
	carrier := apiKeyHeader
	if key == "" {
		key, carrier = bearer(r.Header.Get("Authorization")), "Authorization"
	}
	if key == "" {
		return nimbus.Principal{}, nimbus.Errorf(nimbus.CodeUnauthenticated,
			"this needs an API key: send it as Authorization: Bearer KEY or X-API-Key: KEY")
	}
	p, err := k.auth.Authenticate(r.Context(), key)
	if err != nil {
		return nimbus.Principal{}, err
	}
	r.Header.Del(carrier)
	return p, nil
}

// bearer returns the token of an Authorization header (RFC 6750), "" when it has none.
func bearer(header string) string {
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// Anyone is the identity of an installation that was told to listen to everyone without keys.
type Anyone struct{}

// Principal implements Identity.
func (Anyone) Principal(*http.Request) (nimbus.Principal, error) { return nimbus.LocalPrincipal(), nil }
