package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// badResponseError says why a function's result can't be sent as an HTTP response.
type badResponseError struct{ reason string }

// Error implements error.
func (e *badResponseError) Error() string {
	return "the function's result is not a valid HTTP response: " + e.reason
}

func badResponse(format string, args ...any) error {
	return &badResponseError{reason: fmt.Sprintf(format, args...)}
}

// response is an HTTP response that a function made.
type response struct {
	status  int
	headers []header
	body    []byte
}

type header struct{ name, value string }

const defaultType = "application/json" // AWS's, for a result that names none

// parseResponse reads a result: an object with statusCode describes the response, any other value is JSON.
func parseResponse(result []byte) (*response, error) {
	if len(result) == 0 {
		result = []byte("null")
	}
	fields, ok := responseFields(result)
	if !ok {
		return &response{status: http.StatusOK, body: result}, nil
	}
	a := &response{}
	var err error
	if a.status, err = parseStatus(fields["statusCode"]); err != nil {
		return nil, err
	}
	if err = a.parseHeaders(fields["headers"]); err != nil {
		return nil, err
	}
	if err = a.parseCookies(fields["cookies"]); err != nil {
		return nil, err
	}
	a.body, err = parseBody(fields["body"], fields["isBase64Encoded"])
	return a, err
}

// responseFields returns the fields of an object that has a statusCode.
func responseFields(result []byte) (map[string]json.RawMessage, bool) {
	// Most results aren't responses, and may be large: look before parsing.
	if trimmed := bytes.TrimLeft(result, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' ||
		!bytes.Contains(trimmed, []byte(`"statusCode"`)) {
		return nil, false
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(result, &fields); err != nil {
		return nil, false
	}
	_, ok := fields["statusCode"]
	return fields, ok
}

// parseStatus takes the status as text too: AWS does, and its own templates send it so.
func parseStatus(raw json.RawMessage) (int, error) {
	text := string(raw)
	if raw[0] == '"' {
		text = text[1 : len(text)-1]
	}
	status, err := strconv.ParseUint(text, 10, 16)
	if err != nil || status < 200 || status > 599 {
		return 0, badResponse("statusCode must be a whole number from 200 to 599")
	}
	return int(status), nil
}

func (a *response) parseHeaders(raw json.RawMessage) error {
	if absent(raw) {
		return nil
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(raw, &values); err != nil {
		return badResponse("headers must be an object")
	}
	// The order of a map is random; two names that differ in case only must not take turns.
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value, ok := headerValue(values[name])
		if !ok {
			return badResponse("header %.64q must be a string, a number or a boolean", name)
		}
		if err := a.add(name, value); err != nil {
			return err
		}
	}
	return nil
}

// headerValue returns the text of a JSON scalar.
func headerValue(raw json.RawMessage) (string, bool) {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return "", false
	}
	switch value := value.(type) {
	case string:
		return value, true
	case float64, bool:
		return string(raw), true
	}
	return "", false
}

func (a *response) parseCookies(raw json.RawMessage) error {
	if absent(raw) {
		return nil
	}
	var cookies []string
	if err := json.Unmarshal(raw, &cookies); err != nil {
		return badResponse("cookies must be an array of strings")
	}
	for _, cookie := range cookies {
		if err := a.add("Set-Cookie", cookie); err != nil {
			return err
		}
	}
	return nil
}

// add takes a header over, unless it is the platform's or the connection's to set.
func (a *response) add(name, value string) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return badResponse("%.64q is not a header name", name)
	}
	if !httpguts.ValidHeaderFieldValue(value) {
		return badResponse("the value of header %s has characters that a header can't have", name)
	}
	name = http.CanonicalHeaderKey(name)
	if !platformHeader(name) && !hopByHop(nil, name) {
		a.headers = append(a.headers, header{name, value})
	}
	return nil
}

// platformHeader reports whether a response header says what only the platform knows.
func platformHeader(name string) bool {
	switch name {
	case "Content-Length", "X-Request-Id", "Traceparent":
		return true
	}
	return strings.HasPrefix(name, "X-Nimbus-")
}

func parseBody(raw, encoded json.RawMessage) ([]byte, error) {
	var body string
	if !absent(raw) {
		if raw[0] != '"' || json.Unmarshal(raw, &body) != nil {
			return nil, badResponse("body must be a string; an object has to be dumped as JSON first")
		}
	}
	var isBase64 bool
	if !absent(encoded) {
		if err := json.Unmarshal(encoded, &isBase64); err != nil {
			return nil, badResponse("isBase64Encoded must be a boolean")
		}
	}
	if !isBase64 {
		return []byte(body), nil
	}
	plain, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return nil, badResponse("body is not base64, though isBase64Encoded says so")
	}
	return plain, nil
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// setHeaders sets the function's headers, and the Content-Type, unless it is empty, if they have none.
func (a *response) setHeaders(h http.Header, contentType string) {
	for _, f := range a.headers {
		if f.name == "Set-Cookie" {
			h.Add(f.name, f.value)
			continue
		}
		h.Set(f.name, f.value)
	}
	if h.Get("Content-Type") == "" && contentType != "" && a.hasBody() {
		h.Set("Content-Type", contentType)
	}
}

// hasBody reports whether the status allows one (RFC 9110, 6.4.1 and 15.3.6).
func (a *response) hasBody() bool {
	switch a.status {
	case http.StatusNoContent, http.StatusResetContent, http.StatusNotModified:
		return false
	}
	return true
}

// write sends the response whole.
func (a *response) write(w http.ResponseWriter, r *http.Request) {
	contentType := defaultType
	if len(a.body) == 0 {
		contentType = "" // there is nothing to be of a type
	}
	a.setHeaders(w.Header(), contentType)
	if a.hasBody() {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	if a.hasBody() && r.Method != http.MethodHead {
		_, _ = w.Write(a.body) // the client is gone when this fails
	}
}
