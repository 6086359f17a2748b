package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"path"
	"reflect"
	"strings"
	"syscall"
	"unicode/utf8"

	"nimbus"
	"nimbus/internal/transport"
)

const (
	// formMemory is what of a form's files is kept in memory; the rest goes to temporary files.
	formMemory = 1 << 20
	// formOverhead is what a form may have besides its archive and its JSON.
	formOverhead = nimbus.MiB
)

// functionForm is a function that came as multipart/form-data: its settings, in a part "function" with JSON
// or in parts of their own, and its code in a part "code".
type functionForm struct {
	parts   *multipart.Form
	fields  map[string]json.RawMessage
	archive multipart.File // nil = the code is none, text or a program
	binary  []byte         // nil = it is no program
}

// close lets go of the form's files. net/http would remove them only for the request it made itself, and
// that has been replaced by one with another context.
func (f *functionForm) close() {
	if f.archive != nil {
		_ = f.archive.Close() // it was only read
	}
	_ = f.parts.RemoveAll() // what can't be removed is the temporary directory's to lose
}

// readForm reads a form. The caller closes it.
func readForm(w http.ResponseWriter, r *http.Request, l nimbus.Limits) (*functionForm, error) {
	limit := l.Archive + jsonLimit(l) + formOverhead
	if r.ContentLength > limit {
		transport.Linger(w, r)
		return nil, transport.TooLarge("an archive", l.Archive)
	}
	unbounded := r.Body
	r.Body = http.MaxBytesReader(w, unbounded, limit)
	if err := r.ParseMultipartForm(formMemory); err != nil {
		err = formError(r, err, l)
		if nimbus.CodeOf(err) == nimbus.CodeTooLarge {
			r.Body = unbounded
			transport.Linger(w, r)
		}
		return nil, err
	}
	form := &functionForm{parts: r.MultipartForm, fields: map[string]json.RawMessage{}}
	if err := form.read(l); err != nil {
		form.close()
		return nil, err
	}
	return form, nil
}

func formError(r *http.Request, err error, l nimbus.Limits) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return transport.TooLarge("an archive", l.Archive)
	}
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return nimbus.WrapError(nimbus.CodeInsufficientStorage, err, "the disk has no room for the upload")
	case errors.Is(err, multipart.ErrMessageTooLarge):
		return transport.TooLarge("the text fields of a form", 10*nimbus.MiB)
	case r.Context().Err() != nil:
		return r.Context().Err()
	}
	return nimbus.WrapError(nimbus.CodeBadRequest, err, "the body is not a complete multipart form")
}

func (f *functionForm) read(l nimbus.Limits) error {
	for name, headers := range f.parts.File {
		if len(headers) > 1 {
			return nimbus.Errorf(nimbus.CodeBadRequest, "the form has the part %q more than once", name)
		}
		if err := f.readFile(name, headers[0], l); err != nil {
			return err
		}
	}
	if text, ok := f.parts.Value[functionPart]; ok {
		if len(text) > 1 {
			return nimbus.Errorf(nimbus.CodeBadRequest, "the form has the part %q more than once", functionPart)
		}
		if err := f.readSettings([]byte(text[0])); err != nil {
			return err
		}
		delete(f.parts.Value, functionPart)
	}
	for name, values := range f.parts.Value {
		if err := f.addText(name, values); err != nil {
			return err
		}
	}
	return nil
}

// addText takes a field that came as text.
func (f *functionForm) addText(name string, values []string) error {
	for _, v := range values {
		if !utf8.ValidString(v) {
			return nimbus.Errorf(nimbus.CodeBadRequest, "the part %q is neither a zip archive nor UTF-8 text", name)
		}
	}
	return f.add(name, formValue(name, values))
}

// add takes a field, once.
func (f *functionForm) add(name string, raw json.RawMessage) error {
	if f.fields[name] != nil || name == codePart && (f.archive != nil || f.binary != nil) {
		return nimbus.Errorf(nimbus.CodeBadRequest, "the form gives %q more than once", name)
	}
	f.fields[name] = raw
	return nil
}

// The parts of a form that are not settings.
const (
	functionPart = "function"
	codePart     = "code"
)

// readFile takes a part that has a file name: curl gives one to everything it reads from a file.
func (f *functionForm) readFile(name string, header *multipart.FileHeader, l nimbus.Limits) error {
	file, err := header.Open()
	if err != nil {
		return nimbus.WrapError(nimbus.CodeInternal, err, "the upload could not be read back")
	}
	if name == codePart && isArchive(header, file) {
		if header.Size > l.Archive {
			_ = file.Close()
			return transport.TooLarge("an archive", l.Archive)
		}
		f.archive = file
		return nil
	}
	defer file.Close()
	if name == codePart && isProgram(file) {
		return f.readProgram(file, header.Size, l.Archive)
	}
	if header.Size > jsonLimit(l) {
		return transport.TooLarge("the part "+name, jsonLimit(l))
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nimbus.WrapError(nimbus.CodeInternal, err, "the upload could not be read back")
	}
	if name == functionPart {
		return f.readSettings(text)
	}
	return f.addText(name, []string{string(text)})
}

func (f *functionForm) readProgram(file io.Reader, size, bound int64) error {
	if size > bound {
		return transport.TooLarge("a program", bound)
	}
	program, err := io.ReadAll(file)
	if err != nil {
		return nimbus.WrapError(nimbus.CodeInternal, err, "the upload could not be read back")
	}
	f.binary = program
	return nil
}

func (f *functionForm) readSettings(text []byte) error {
	fields, err := parseObject(text)
	if err != nil {
		return err
	}
	for name, raw := range fields {
		if err := f.add(name, raw); err != nil {
			return err
		}
	}
	return nil
}

// isArchive tells a zip from a single source file, by what it begins with; what is called a zip but isn't one
// is left to the use case, which knows what to say about it.
func isArchive(header *multipart.FileHeader, file multipart.File) bool {
	magic := make([]byte, 2)
	if n, err := file.ReadAt(magic, 0); err == nil && n == len(magic) && bytes.Equal(magic, []byte("PK")) {
		return true
	}
	return path.Ext(header.Filename) == ".zip" || header.Header.Get("Content-Type") == "application/zip"
}

// isProgram tells one, native or WebAssembly, from source.
func isProgram(file multipart.File) bool {
	magic := make([]byte, 4)
	n, err := file.ReadAt(magic, 0)
	return err == nil && n == len(magic) && (string(magic) == "\x7fELF" || string(magic) == "\x00asm")
}

// formValue turns a form's text into the JSON of a field: text where a string is wanted, JSON elsewhere. Tags
// may be repeated instead.
func formValue(name string, values []string) json.RawMessage {
	targets, _ := jsonFields(&functionInput{})
	target, ok := targets[name]
	if ok && target.Kind() == reflect.Slice && (len(values) > 1 || !strings.HasPrefix(values[0], "[")) {
		return mustMarshal(values)
	}
	stringWanted := ok && target.Kind() == reflect.Pointer && target.Type().Elem().Kind() == reflect.String
	if len(values) == 1 && !stringWanted && json.Valid([]byte(values[0])) {
		return json.RawMessage(values[0])
	}
	if len(values) == 1 {
		return mustMarshal(values[0])
	}
	return mustMarshal(values) // of the wrong type, and refused as such
}

// mustMarshal encodes strings, which can't fail.
func mustMarshal[T string | []string](v T) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}
