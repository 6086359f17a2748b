package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"nimbus"
	"nimbus/internal/problem"
)

// operation is one method of one path.
type operation struct {
	doc    huma.Operation
	access access
	handle func(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error
}

// access says who may use an operation.
type access int

const (
	known access = iota // whoever the server's identity knows
	open                // everyone; there is no principal
)

// mux routes to the operations; everything else is a problem.
func (a *api) mux(operations []operation) http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, op := range operations {
		mux.Handle(op.doc.Method+" "+op.doc.Path, a.handler(op))
		methods[op.doc.Path] = append(methods[op.doc.Path], op.doc.Method)
	}
	for path, allowed := range methods {
		mux.Handle(path, a.methodNotAllowed(allowed))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.problems.Write(w, r, nimbus.Errorf(nimbus.CodeNotFound, "there is nothing at %s; /docs lists what there is", r.URL.Path))
	})
	return mux
}

func (a *api) handler(op operation) http.Handler {
	var declared []string
	for _, p := range op.doc.Parameters {
		if p.In == "query" {
			declared = append(declared, p.Name)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := func() error {
			var p nimbus.Principal
			if op.access == known {
				var err error
				if p, err = a.identity.Principal(r); err != nil {
					return err
				}
			}
			if err := checkQuery(r.URL.RawQuery, declared); err != nil {
				return err
			}
			return op.handle(w, r, p)
		}()
		if err != nil {
			a.problems.Write(w, r, err)
		}
	})
}

func (a *api) methodNotAllowed(allowed []string) http.Handler {
	if slices.Contains(allowed, http.MethodGet) {
		allowed = append(allowed, http.MethodHead)
	}
	slices.Sort(allowed)
	allow := strings.Join(allowed, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allow)
		a.problems.Write(w, r, nimbus.Errorf(problem.CodeMethodNotAllowed, "%s takes %s, not %s", r.URL.Path, allow, r.Method))
	})
}

// checkQuery refuses parameters that the operation does not declare, and all but tags given twice.
func checkQuery(raw string, declared []string) error {
	if raw == "" {
		return nil
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nimbus.WrapError(nimbus.CodeBadRequest, err, "the query is malformed")
	}
	var invalid nimbus.Invalid
	for _, name := range sortedKeys(query) {
		switch {
		case !slices.Contains(declared, name):
			invalid.Add(name, "%s", unknownName("query parameter", name, declared))
		case len(query[name]) > 1 && name != tagsParam:
			invalid.Add(name, "may be given once")
		}
	}
	return invalid.Err()
}
