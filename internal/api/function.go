package api

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"nimbus"
	"nimbus/internal/function"
	"nimbus/internal/transport"
)

func (a *api) createFunction(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	namespace, err := namespaceOf(r)
	if err != nil {
		return err
	}
	return a.withFunctionInput(w, r, refusedOnCreate(), func(given functionInput, in function.Input) error {
		if given.Name == nil {
			var invalid nimbus.Invalid
			invalid.Add("name", "is required")
			return invalid.Err()
		}
		f, err := a.Functions.Create(r.Context(), p, namespace, *given.Name, in)
		if err != nil {
			return err
		}
		w.Header().Set("Location", "/api/v1/functions/"+f.ID.String()+"?namespace="+url.QueryEscape(f.Namespace))
		return a.writeFunction(w, r, p, f, accepted(w, f, in, http.StatusCreated))
	})
}

// updateFunction takes what getFunction shows, too, so that it can be changed and sent back.
func (a *api) updateFunction(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	ref, err := refOf(r)
	if err != nil {
		return err
	}
	return a.withFunctionInput(w, r, refusedFields(), func(given functionInput, in function.Input) error {
		if given.repeats() {
			f, err := a.Functions.Get(r.Context(), p, ref)
			if err != nil {
				return err
			}
			// What is shown of another version differs; that is a conflict, as the update will find.
			if given.Version == nil || *given.Version == f.Version.Number {
				err = given.checkRepeated(f)
			}
			if err != nil {
				return err
			}
		}
		f, err := a.Functions.Update(r.Context(), p, ref, in)
		if err != nil {
			return err
		}
		return a.writeFunction(w, r, p, f, accepted(w, f, in, http.StatusOK))
	})
}

// accepted returns the status of an answer about a changed function: done, unless its client does not wait for
// what is being built.
func accepted(w http.ResponseWriter, f *nimbus.Function, in function.Input, done int) int {
	if !in.Async || f.Build.IsZero() {
		return done
	}
	w.Header().Set("Preference-Applied", respondAsync)
	return http.StatusAccepted
}

// withFunctionInput reads the request's body, JSON or a form, and hands it to use.
func (a *api) withFunctionInput(w http.ResponseWriter, r *http.Request, refused map[string]string,
	use func(given functionInput, in function.Input) error) error {
	body, err := a.readFunction(w, r)
	if err != nil {
		return err
	}
	defer body.close()
	given, err := decodeFields[functionInput](body.fields, refused)
	if err != nil {
		return err
	}
	in, err := given.useCase()
	if err != nil {
		return err
	}
	in.Async = prefers(r.Header, respondAsync)
	body.giveFiles(&in)
	body.fields = nil // a build may take minutes
	return use(given, in)
}

func (a *api) readFunction(w http.ResponseWriter, r *http.Request) (functionRequest, error) {
	media, err := mediaType(r, mediaJSON, mediaForm)
	switch {
	case err != nil:
		return functionRequest{}, err
	case media == mediaForm:
		return readForm(w, r, a.cfg.Limits, a.cfg.Uploads)
	}
	var object lifted
	err = transport.TakeBody(w, r, binaryLimit(a.cfg.Limits), func(body io.Reader) (err error) {
		object, err = liftBinary(body, a.cfg.Limits, a.cfg.Uploads)
		return err
	})
	body := functionRequest{binary: object.binary}
	if err == nil {
		body.fields, err = parseObject("the body", object)
	}
	if err != nil {
		body.close()
	}
	return body, err
}

// functionRequest is what a request brings that creates or changes a function. Its files are there until it is closed.
type functionRequest struct {
	fields  map[string]json.RawMessage
	archive *upload // nil = none came
	binary  *upload // likewise
}

func (b *functionRequest) close() {
	b.archive.close()
	b.binary.close()
}

// giveFiles adds the files to an input.
func (b *functionRequest) giveFiles(in *function.Input) {
	if b.archive != nil {
		in.Archive = b.archive.content()
	}
	if b.binary != nil {
		in.Binary = b.binary.content()
	}
}

func (a *api) getFunction(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	ref, err := refOf(r)
	if err != nil {
		return err
	}
	f, err := a.Functions.Get(r.Context(), p, ref)
	if err != nil {
		return err
	}
	return a.writeFunction(w, r, p, f, http.StatusOK)
}

// writeFunction answers with one function, its code included if it is text.
func (a *api) writeFunction(w http.ResponseWriter, r *http.Request, p nimbus.Principal, f *nimbus.Function, status int) error {
	out := newFunctionJSON(f)
	// A key may be allowed to write and not to read; it knows the code already.
	if f.Version.Code().Inline != "" && p.Can(nimbus.ScopeRead) {
		code, err := a.Functions.Code(r.Context(), p, function.Ref{Namespace: f.Namespace, Function: f.ID.String()})
		if err != nil {
			return err
		}
		out.Code = code
	}
	return writeJSON(w, status, out)
}

func (a *api) deleteFunction(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	ref, err := refOf(r)
	if err != nil {
		return err
	}
	if err := a.Functions.Delete(r.Context(), p, ref); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) listFunctions(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	query := r.URL.Query()
	q := function.Query{Name: query.Get("name"), Tags: query[tagsParam], Runtime: query.Get("runtime")}
	var err error
	if q.Namespace, err = namespaceOf(r); err != nil {
		return err
	}
	if q.Status, err = choiceOf(r, "status", nimbus.Statuses()); err != nil {
		return err
	}
	if q.Page, err = pageOf(r); err != nil {
		return err
	}
	list, err := a.Functions.List(r.Context(), p, q)
	if err != nil {
		return err
	}
	return writeList(w, list, func(f nimbus.Function) functionJSON { return newFunctionJSON(&f) })
}

// refOf returns the function a request's path names.
func refOf(r *http.Request) (function.Ref, error) {
	namespace, err := namespaceOf(r)
	return function.Ref{Namespace: namespace, Function: r.PathValue("id")}, err
}

// listJSON is one page of a list.
type listJSON[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor,omitempty" doc:"Asks for the next page; absent on the last."`
}

func writeList[T, J any](w http.ResponseWriter, list nimbus.List[T], show func(T) J) error {
	out := listJSON[J]{Items: make([]J, len(list.Items)), NextCursor: list.Next}
	for i, item := range list.Items {
		out.Items[i] = show(item)
	}
	return writeJSON(w, http.StatusOK, out)
}
