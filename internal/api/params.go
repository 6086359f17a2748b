package api

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nimbus"
)

// tagsParam is the one query parameter that may be given more than once.
const tagsParam = "tags"

const namespaceHeader = "X-Nimbus-Namespace"

func queryParam(name, description string, schema *huma.Schema) *huma.Param {
	return &huma.Param{Name: name, In: "query", Description: description, Schema: schema}
}

func pathParam(name, description string) *huma.Param {
	return &huma.Param{Name: name, In: "path", Required: true, Description: description, Schema: text()}
}

func text() *huma.Schema { return &huma.Schema{Type: huma.TypeString} }

func boolean() *huma.Schema { return &huma.Schema{Type: huma.TypeBoolean, Default: false} }

// count is a whole number from 1 to most.
func count(most int) *huma.Schema {
	low, high := 1.0, float64(most)
	return &huma.Schema{Type: huma.TypeInteger, Minimum: &low, Maximum: &high}
}

func oneOf[T ~string](values []T) *huma.Schema {
	s := text()
	for _, v := range values {
		s.Enum = append(s.Enum, string(v))
	}
	return s
}

// namespaceParams choose the namespace an operation is about.
func namespaceParams() []*huma.Param {
	return []*huma.Param{
		queryParam("namespace", "The namespace; else that of the header, else the API key's, else default.", text()),
		{Name: namespaceHeader, In: "header", Description: "The namespace; must not contradict the query.", Schema: text()},
	}
}

// pageParams choose a part of a list.
func pageParams() []*huma.Param {
	limit := count(nimbus.MaxPageLimit)
	limit.Default = nimbus.DefaultPageLimit
	return []*huma.Param{
		queryParam("limit", "How many items at most.", limit),
		queryParam("cursor", "The next_cursor of the answer before.", text()),
	}
}

// periodParams choose a period of time.
func periodParams() []*huma.Param {
	return []*huma.Param{
		queryParam("since", "From this time on: RFC 3339, or how long ago, as 5m.", text()),
		queryParam("until", "Before this time: likewise.", text()),
	}
}

// namespaceOf returns the namespace a request names, "" when it names none: then it is the principal's default,
// and for an id whichever has it. That the principal reaches it, the use case checks.
func namespaceOf(r *http.Request) (string, error) {
	header := r.Header.Get(namespaceHeader)
	named := ""
	if r.URL.RawQuery != "" {
		named = r.URL.Query().Get("namespace")
	}
	if named != "" && header != "" && named != header {
		return "", nimbus.Errorf(nimbus.CodeBadRequest, "the query names the namespace %q and %s the namespace %q", named, namespaceHeader, header)
	}
	return cmp.Or(named, header), nil
}

// pageOf returns the part of a list that is asked for.
func pageOf(r *http.Request) (nimbus.Page, error) {
	query := r.URL.Query()
	page := nimbus.Page{Cursor: query.Get("cursor")}
	var err error
	if page.Limit, err = countOf(r, "limit", nimbus.MaxPageLimit); err != nil {
		return page, err
	}
	return page.Checked()
}

// countOf returns a parameter that is a whole number from 1 to most, 0 when it isn't given.
func countOf(r *http.Request, name string, most int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		var invalid nimbus.Invalid
		invalid.Add(name, "must be a whole number from 1 to %d", most)
		return 0, invalid.Err()
	}
	return n, nil
}

// period is a span of time; a zero end is open.
type period struct{ since, until time.Time }

// periodOf returns the period that is asked for.
func periodOf(r *http.Request, now time.Time) (period, error) {
	var (
		invalid nimbus.Invalid
		span    period
	)
	query := r.URL.Query()
	span.since = parseTime(&invalid, "since", query.Get("since"), now)
	span.until = parseTime(&invalid, "until", query.Get("until"), now)
	return span, invalid.Err()
}

func parseTime(invalid *nimbus.Invalid, field, s string, now time.Time) time.Time {
	if s == "" {
		return time.Time{}
	}
	// A plus sign that nobody escaped has become a space.
	if t, err := time.Parse(time.RFC3339, strings.Replace(s, " ", "+", 1)); err == nil {
		return t.UTC()
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d).UTC()
	}
	invalid.Add(field, "must be a time as 2006-01-02T15:04:05Z, or how long ago, as 5m")
	return time.Time{}
}

// flagOf returns a parameter that is true or false.
func flagOf(r *http.Request, name string) (bool, error) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return false, nil
	}
	set, err := strconv.ParseBool(s)
	if err != nil {
		var invalid nimbus.Invalid
		invalid.Add(name, "must be true or false")
		return false, invalid.Err()
	}
	return set, nil
}

// choiceOf returns a parameter that is one of a few words, "" when it isn't given.
func choiceOf[T ~string](r *http.Request, name string, choices []T) (T, error) {
	s := T(r.URL.Query().Get(name))
	if s == "" {
		return "", nil
	}
	var words []string
	for _, c := range choices {
		if s == c {
			return s, nil
		}
		words = append(words, string(c))
	}
	var invalid nimbus.Invalid
	invalid.Add(name, "must be one of %s", strings.Join(words, ", "))
	return "", invalid.Err()
}
