package gateway

import (
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

// isText reports whether a body goes into the event as it is; else it is base64. AWS encodes form bodies
// too; here they are text, so that what curl sends by default can be read.
func isText(h http.Header, body []byte) bool {
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return false
	}
	return textType(h.Get("Content-Type")) && utf8.Valid(body) && !hasControls(body)
}

// textType reports whether the media type is one of text. Nothing said counts as text.
func textType(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	kind, sub, _ := strings.Cut(media, "/")
	if kind == "text" || strings.HasSuffix(sub, "+json") || strings.HasSuffix(sub, "+xml") || strings.HasSuffix(sub, "+yaml") {
		return true
	}
	if kind != "application" {
		return false
	}
	switch sub {
	case "json", "xml", "javascript", "ecmascript", "x-www-form-urlencoded", "x-ndjson", "jsonl",
		"json-seq", "graphql", "yaml", "x-yaml", "toml", "sql", "xhtml+xml":
		return true
	}
	return false
}

// hasControls reports control characters that text doesn't have. Escaped they would be six times as long.
func hasControls(body []byte) bool {
	for _, c := range body {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return true
		}
	}
	return false
}
