package api

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"nimbus"
	"nimbus/internal/problem"
)

// The names of the ways to present an API key.
const (
	schemeBearer = "bearer"
	schemeHeader = "apiKey"
)

// newDocument returns an OpenAPI 3.1 document without operations.
func newDocument(version string) *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:   "Nimbus",
			Version: version,
			Description: "A self-hosted serverless platform. Errors are RFC 9457 problems with a code; " +
				"every answer carries its request's id in X-Request-Id.",
		},
		Components: &huma.Components{
			Schemas: newRegistry(),
			SecuritySchemes: map[string]*huma.SecurityScheme{
				schemeBearer: {Type: "http", Scheme: "bearer", Description: "An API key, where the server asks for one."},
				schemeHeader: {Type: "apiKey", In: "header", Name: "X-API-Key", Description: "The same, where Authorization is the function's."},
			},
		},
		Security: []map[string][]string{{schemeBearer: {}}, {schemeHeader: {}}, {}},
		Tags: []*huma.Tag{
			{Name: tagFunctions, Description: "Named code and its settings."},
			{Name: tagInvocations, Description: "Calls, and what came of them."},
			{Name: tagServer, Description: "The installation itself."},
		},
	}
}

// newRegistry names schemas after their types, without what marks them as those of answers.
func newRegistry() huma.Registry {
	return huma.NewMapRegistry("#/components/schemas/", func(t reflect.Type, hint string) string {
		name := huma.DefaultSchemaNamer(t, hint)
		if name == "Details" {
			return "Problem"
		}
		return strings.ReplaceAll(name, "JSON", "")
	})
}

// settle makes the schemas say what is so: arrays are never null, and an answer may gain fields, while a
// request may not have unknown ones.
func settle(registry huma.Registry) {
	for name, schema := range registry.Map() {
		if !strings.HasSuffix(name, "Input") {
			schema.AdditionalProperties = nil
		}
		for _, property := range schema.Properties {
			if property.Type == huma.TypeArray {
				property.Nullable = false
			}
		}
	}
}

// schemaOf returns a reference to the schema of T.
func schemaOf[T any](registry huma.Registry) *huma.Schema {
	return registry.Schema(reflect.TypeFor[T](), true, "")
}

// content describes a body of one media type.
func content(media string, schema *huma.Schema) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{media: {Schema: schema}}
}

// answers describes what an operation answers: its success, and problems with the codes.
func answers(registry huma.Registry, status int, success *huma.Response, codes ...nimbus.Code) map[string]*huma.Response {
	out := map[string]*huma.Response{strconv.Itoa(status): success}
	document := content(problem.ContentType, schemaOf[problem.Details](registry))
	byStatus := map[int][]string{}
	for _, code := range codes {
		byStatus[problem.Status(code)] = append(byStatus[problem.Status(code)], string(code))
	}
	for status, codes := range byStatus {
		slices.Sort(codes)
		out[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status) + ": " + strings.Join(codes, ", "),
			Content:     document,
			Headers:     retryHeader(status),
		}
	}
	out["default"] = &huma.Response{Description: "Any other problem.", Content: document}
	return out
}

// retryHeader describes Retry-After, which goes with two statuses.
func retryHeader(status int) map[string]*huma.Header {
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return nil
	}
	return map[string]*huma.Header{"Retry-After": {Description: "Seconds to wait.", Schema: &huma.Schema{Type: huma.TypeInteger}}}
}

// jsonAnswer describes a success with a body of T.
func jsonAnswer[T any](registry huma.Registry, description string) *huma.Response {
	return &huma.Response{Description: description, Content: content(mediaJSON, schemaOf[T](registry))}
}

// jsonBody describes a request's body of T.
func jsonBody[T any](registry huma.Registry) *huma.RequestBody {
	return &huma.RequestBody{Required: true, Content: content(mediaJSON, schemaOf[T](registry))}
}
