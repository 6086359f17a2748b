package transport

import (
	"net/http"
	"strconv"

	"nimbus/internal/invoke"
	"nimbus/internal/jsontext"
)

// The headers of every answer that a function had part in.
const (
	HeaderColdStart = "X-Nimbus-Cold-Start"
	HeaderVersion   = "X-Nimbus-Version"
	HeaderDuration  = "X-Nimbus-Duration-Ms" // a trailer when the answer is streamed
	HeaderMemory    = "X-Nimbus-Memory-Scope"
)

// SetOutcome says in headers how the call went.
func SetOutcome(h http.Header, res *invoke.Result) {
	h.Set(HeaderColdStart, strconv.FormatBool(res.ColdStart))
	h.Set(HeaderVersion, strconv.FormatInt(res.Version, 10))
	SetDuration(h, res)
	if res.Memory.Instance {
		h.Set(HeaderMemory, "instance") // memory_used_mb is the instance's peak, not the call's
	}
}

// SetDuration sets the header, or trailer, of a call's duration.
func SetDuration(h http.Header, res *invoke.Result) {
	h.Set(HeaderDuration, string(jsontext.AppendMillis(nil, res.Duration)))
}
