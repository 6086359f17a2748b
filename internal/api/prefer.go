package api

import (
	"net/http"
	"strings"
)

// respondAsync is the preference of RFC 7240 not to wait for what takes long.
const respondAsync = "respond-async"

// prefers reports whether the request's Prefer headers have a preference, whatever value it is given.
func prefers(h http.Header, preference string) bool {
	for _, line := range h.Values("Prefer") {
		for one := range strings.SplitSeq(line, ",") {
			token, _, _ := strings.Cut(one, ";")
			token, _, _ = strings.Cut(token, "=")
			if strings.EqualFold(strings.TrimSpace(token), preference) {
				return true
			}
		}
	}
	return false
}
