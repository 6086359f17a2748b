package gateway

import (
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"nimbus/internal/jsontext"
)

// httpEvent is what an event of payload format 2.0 is made from.
type httpEvent struct {
	request   *http.Request
	path      string
	body      []byte
	apiID     string
	requestID string
	now       time.Time
}

// commonLogTime is the time format of the Common Log Format, which AWS uses in requestContext.time.
const commonLogTime = "02/Jan/2006:15:04:05 -0700"

// appendEvent appends the event as AWS's payload format 2.0 for HTTP APIs and Lambda function URLs
// (docs.aws.amazon.com/apigateway, "Working with AWS Lambda proxy integrations for HTTP APIs"). Where AWS
// leaves an empty part out, it is there and empty, so that handlers need not ask.
func appendEvent(b []byte, e httpEvent) []byte {
	r := e.request
	b = append(b, `{"version":"2.0","routeKey":"$default","rawPath":`...)
	b = jsontext.AppendString(b, e.path)
	b = append(b, `,"rawQueryString":`...)
	b = jsontext.AppendString(b, r.URL.RawQuery)
	b = append(b, `,"cookies":`...)
	b = appendCookies(b, r.Header["Cookie"])
	b = append(b, `,"headers":`...)
	b = appendHeaders(b, r)
	b = append(b, `,"queryStringParameters":`...)
	b = appendQuery(b, r.URL.RawQuery)
	b = append(b, `,"pathParameters":{},"requestContext":{"accountId":"anonymous","apiId":`...)
	b = jsontext.AppendString(b, e.apiID)
	b = append(b, `,"domainName":`...)
	b = jsontext.AppendString(b, hostname(r.Host))
	b = append(b, `,"http":{"method":`...)
	b = jsontext.AppendString(b, r.Method)
	b = append(b, `,"path":`...)
	b = jsontext.AppendString(b, e.path)
	b = append(b, `,"protocol":`...)
	b = jsontext.AppendString(b, r.Proto)
	b = append(b, `,"sourceIp":`...)
	b = jsontext.AppendString(b, hostname(r.RemoteAddr))
	b = append(b, `,"userAgent":`...)
	b = jsontext.AppendString(b, r.UserAgent())
	b = append(b, `},"requestId":`...)
	b = jsontext.AppendString(b, e.requestID)
	b = append(b, `,"routeKey":"$default","stage":"$default","time":"`...)
	b = e.now.UTC().AppendFormat(b, commonLogTime)
	b = append(b, `","timeEpoch":`...)
	b = strconv.AppendInt(b, e.now.UnixMilli(), 10)
	b = append(b, `},"body":`...)
	return appendBody(b, r.Header, e.body)
}

// appendBody appends the body and isBase64Encoded, and closes the event.
func appendBody(b []byte, h http.Header, body []byte) []byte {
	switch {
	case len(body) == 0:
		return append(b, `null,"isBase64Encoded":false}`...)
	case isText(h, body):
		b = jsontext.AppendString(b, body)
		return append(b, `,"isBase64Encoded":false}`...)
	}
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, body)
	return append(b, `","isBase64Encoded":true}`...)
}

// appendCookies splits Cookie headers into the pairs they hold.
func appendCookies(b []byte, headers []string) []byte {
	b = append(b, '[')
	first := true
	for _, header := range headers {
		for pair := range strings.SplitSeq(header, ";") {
			if pair = strings.TrimSpace(pair); pair == "" {
				continue
			}
			b = appendComma(b, first)
			b = jsontext.AppendString(b, pair)
			first = false
		}
	}
	return append(b, ']')
}

// appendHeaders appends the headers in the order of their names, these in lower case, with values of one
// name joined by commas.
func appendHeaders(b []byte, r *http.Request) []byte {
	var few [32]string // most requests have no more, and need no allocation
	names := few[:0]
	for name := range r.Header {
		if name != "Cookie" && name != "Host" && !hopByHop(r.Header, name) {
			names = append(names, name)
		}
	}
	if r.Host != "" {
		names = append(names, "Host") // net/http keeps it apart
	}
	slices.Sort(names)
	b = append(b, '{')
	for i, name := range names {
		b = appendComma(b, i == 0)
		b = jsontext.AppendString(b, strings.ToLower(name))
		b = append(b, ':')
		if name == "Host" {
			b = jsontext.AppendString(b, r.Host)
			continue
		}
		values := r.Header[name]
		if len(values) == 1 {
			b = jsontext.AppendString(b, values[0])
			continue
		}
		b = jsontext.AppendString(b, strings.Join(values, ","))
	}
	return append(b, '}')
}

// hopByHop reports whether a header is about the connection only (RFC 9110, 7.6.1).
func hopByHop(h http.Header, name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	for _, value := range h["Connection"] {
		for option := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(option), name) {
				return true
			}
		}
	}
	return false
}

// appendQuery appends the decoded parameters in the order of their first appearance, with values of one name
// joined by commas. An escape that is none is left as it was sent.
func appendQuery(b []byte, raw string) []byte {
	if raw == "" {
		return append(b, "{}"...)
	}
	var names []string
	values := map[string][]string{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, value = unescape(name), unescape(value)
		if _, seen := values[name]; !seen {
			names = append(names, name)
		}
		values[name] = append(values[name], value)
	}
	b = append(b, '{')
	for i, name := range names {
		b = appendComma(b, i == 0)
		b = jsontext.AppendString(b, name)
		b = append(b, ':')
		b = jsontext.AppendString(b, strings.Join(values[name], ","))
	}
	return append(b, '}')
}

func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// hostname returns an address or a Host header without its port.
func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

func appendComma(b []byte, first bool) []byte {
	if first {
		return b
	}
	return append(b, ',')
}
