package api

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"nimbus"
)

const mediaOpenAPI = "application/openapi+json"

//go:embed reference.html
var referenceHTML string

// openAPI answers with the OpenAPI document.
func (a *api) openAPI(w http.ResponseWriter, _ *http.Request, _ nimbus.Principal) error {
	document, err := a.document()
	if err != nil {
		return fmt.Errorf("write the OpenAPI document: %w", err)
	}
	w.Header().Set("Content-Type", mediaOpenAPI)
	_, _ = w.Write(document) // the client is gone when this fails
	return nil
}

// reference answers with the same as a page, which needs no script and nothing from elsewhere.
func (a *api) reference(w http.ResponseWriter, _ *http.Request, _ nimbus.Principal) error {
	page, err := a.page()
	if err != nil {
		return fmt.Errorf("write the reference page: %w", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(page) // the client is gone when this fails
	return nil
}

// referencePage renders the document.
func referencePage(doc *huma.OpenAPI) ([]byte, error) {
	page, err := template.New("reference").Funcs(template.FuncMap{
		"operations": func(tag string) []*huma.Operation { return operationsOf(doc, tag) },
		"fields":     func(s *huma.Schema) []field { return fieldsOf(doc.Components.Schemas, s) },
		"typeOf":     func(s *huma.Schema) string { return typeName(s) },
		"lower":      strings.ToLower,
	}).Parse(referenceHTML)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := page.Execute(&out, doc); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// operationsOf returns the operations of a tag in the order of their paths.
func operationsOf(doc *huma.OpenAPI, tag string) []*huma.Operation {
	var out []*huma.Operation
	for _, path := range sortedKeys(doc.Paths) {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Head, item.Post, item.Put, item.Patch, item.Delete, item.Options} {
			if op != nil && op.Tags[0] == tag {
				out = append(out, op)
			}
		}
	}
	return out
}

// field is one field of an object.
type field struct {
	Name   string
	Schema *huma.Schema
}

// fieldsOf returns the fields of an object's schema by name; none for other values.
func fieldsOf(registry huma.Registry, s *huma.Schema) []field {
	if s == nil {
		return nil
	}
	if s.Ref != "" {
		s = registry.SchemaFromRef(s.Ref)
	}
	var out []field
	for _, name := range sortedKeys(s.Properties) {
		out = append(out, field{Name: name, Schema: s.Properties[name]})
	}
	return out
}

// typeName says in a word or two what a schema allows.
func typeName(s *huma.Schema) string {
	switch {
	case s.Ref != "":
		return s.Ref[strings.LastIndex(s.Ref, "/")+1:]
	case s.Type == huma.TypeArray && s.Items != nil:
		return "array of " + typeName(s.Items)
	case s.Type == "":
		return "any"
	case s.Format != "":
		return s.Type + " (" + s.Format + ")"
	}
	return s.Type
}
