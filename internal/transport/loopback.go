package transport

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"nimbus"
)

// Loopback is the identity of an installation without keys that listens on loopback only. Whoever reaches it
// runs on this machine and may do everything; but that includes the user's browser, and with it every page
// the user looks at. So a request is refused that a page of another site sent (Origin, Sec-Fetch-Site), or
// that was addressed to a name that is not loopback's: such a name was rebound to 127.0.0.1 to make a foreign
// page look like ours.
type Loopback struct{}

// Principal implements Identity.
func (Loopback) Principal(r *http.Request) (nimbus.Principal, error) {
	if !loopbackHost(r.Host) {
		return nimbus.Principal{}, nimbus.Errorf(nimbus.CodeForbidden,
			"this server answers without keys to loopback names only, and %q is none: use http://127.0.0.1 or http://localhost", r.Host)
	}
	if foreignPage(r) {
		return nimbus.Principal{}, nimbus.Errorf(nimbus.CodeForbidden,
			"this server answers without keys, so pages of other sites may not call it; enable auth to allow them")
	}
	return nimbus.LocalPrincipal(), nil
}

// foreignPage reports whether a browser sent the request for a page that is not this server's own. Another
// port of loopback is another site: who knows what is served there.
func foreignPage(r *http.Request) bool {
	h := r.Header
	if origins := h.Values("Origin"); len(origins) > 0 {
		u, err := url.Parse(origins[0])
		return len(origins) > 1 || err != nil || !strings.EqualFold(u.Host, r.Host)
	}
	// A GET that loads an image or follows a link has no Origin, but every browser of today says this.
	switch h.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return true
}

// loopbackHost reports whether a Host header, with or without a port, names this machine's loopback.
func loopbackHost(host string) bool {
	if host == "" {
		return true // HTTP/1.0
	}
	name := (&url.URL{Host: host}).Hostname()
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap().IsLoopback()
}
