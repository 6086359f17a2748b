package api

import (
	"net/http"
	"time"

	"nimbus"
	"nimbus/internal/auth"
)

// apiKeyJSON is a credential. Its secret is told once, by the answer that makes it.
type apiKeyJSON struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Scopes     []nimbus.Scope `json:"scopes"`
	Namespaces []string       `json:"namespaces" doc:"Empty is every namespace of the tenant."`
	CreatedAt  time.Time      `json:"created_at"`
	ExpiresAt  *time.Time     `json:"expires_at,omitempty" doc:"Absent is never."`
	Secret     string         `json:"secret,omitempty" doc:"Told this once."`
}

func newAPIKeyJSON(k nimbus.APIKey) apiKeyJSON {
	out := apiKeyJSON{ID: k.ID.String(), Name: k.Name, Scopes: k.Scopes, Namespaces: k.Namespaces,
		CreatedAt: k.CreatedAt.UTC(), ExpiresAt: timeOrNil(k.ExpiresAt)}
	if out.Scopes == nil {
		out.Scopes = []nimbus.Scope{}
	}
	if out.Namespaces == nil {
		out.Namespaces = []string{}
	}
	return out
}

// apiKeyInput is what is asked of a new key.
type apiKeyInput struct {
	Name       string         `json:"name"`
	Scopes     []nimbus.Scope `json:"scopes" enum:"read,write,invoke,admin"`
	Namespaces []string       `json:"namespaces,omitempty" doc:"Empty is every namespace of the tenant."`
	ExpiresIn  string         `json:"expires_in,omitempty" doc:"A Go duration, as 720h; absent is never."`
}

// apiKeyLimit bounds the JSON of a new key.
const apiKeyLimit = 64 * nimbus.KiB

func (a *api) createAPIKey(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	if _, err := mediaType(r, mediaJSON); err != nil {
		return err
	}
	asked, err := decodeJSON[apiKeyInput](w, r, apiKeyLimit, nil)
	if err != nil {
		return err
	}
	in := auth.KeyInput{Name: asked.Name, Scopes: asked.Scopes, Namespaces: asked.Namespaces}
	if asked.ExpiresIn != "" {
		if in.ExpiresIn, err = time.ParseDuration(asked.ExpiresIn); err != nil || in.ExpiresIn <= 0 {
			var invalid nimbus.Invalid
			invalid.Add("expires_in", "must be a duration above zero, as 720h")
			return invalid.Err()
		}
	}
	key, secret, err := a.Keys.Create(r.Context(), p, in)
	if err != nil {
		return err
	}
	out := newAPIKeyJSON(key)
	out.Secret = secret
	w.Header().Set("Location", "/api/v1/apikeys/"+out.ID)
	w.Header().Set("Cache-Control", "no-store")
	return writeJSON(w, http.StatusCreated, out)
}

func (a *api) listAPIKeys(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	page, err := pageOf(r)
	if err != nil {
		return err
	}
	list, err := a.Keys.List(r.Context(), p, page)
	if err != nil {
		return err
	}
	return writeList(w, list, newAPIKeyJSON)
}

func (a *api) deleteAPIKey(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	if err := a.Keys.Delete(r.Context(), p, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
