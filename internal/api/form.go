package api

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"reflect"
	"strings"
	"unicode/utf8"

	"nimbus"
	"nimbus/internal/transport"
)

const (
	// formOverhead is what a form may have besides its archive and its JSON.
	formOverhead = nimbus.MiB
	// formParts bounds the parts of a form.
	formParts = 1000
)

// The parts of a form that are not settings.
const (
	functionPart = "function"
	codePart     = "code"
)

// formReader reads a function that comes as multipart/form-data: its settings, in a part "function" with JSON or
// in parts of their own, and its code in a part "code". An archive or a program goes to a file as it comes.
type formReader struct {
	functionRequest
	limits   nimbus.Limits
	uploads  *Uploads
	texts    map[string][]string
	left     int64 // bytes that text may still take
	settings bool  // the part with JSON has come
}

// readForm reads a form. The caller closes it.
func readForm(w http.ResponseWriter, r *http.Request, l nimbus.Limits, uploads *Uploads) (functionRequest, error) {
	limit := l.Archive + jsonLimit(l) + formOverhead
	if r.ContentLength > limit {
		transport.Linger(w, r)
		return functionRequest{}, transport.TooLarge("an archive", l.Archive)
	}
	f := &formReader{functionRequest: functionRequest{fields: map[string]json.RawMessage{}}, limits: l, uploads: uploads,
		texts: map[string][]string{}, left: jsonLimit(l)}
	err := transport.TakeBody(w, r, limit, func(body io.Reader) error {
		_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || params["boundary"] == "" {
			return nimbus.Errorf(nimbus.CodeBadRequest, "the Content-Type of a form must name its boundary")
		}
		return f.read(multipart.NewReader(body, params["boundary"]))
	})
	if err != nil {
		f.close()
		return functionRequest{}, err
	}
	return f.functionRequest, nil
}

func (f *formReader) read(form *multipart.Reader) error {
	for parts := 0; ; parts++ {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return formError(err)
		}
		if parts == formParts {
			return nimbus.Errorf(nimbus.CodeTooLarge, "a form may have %d parts at most", formParts)
		}
		if err := f.readPart(part); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(f.texts) {
		if err := f.addText(name, f.texts[name]); err != nil {
			return err
		}
	}
	return nil
}

// formError translates what can go wrong with a form that is read, and leaves alone what is no error of the form.
func formError(err error) error {
	if _, known := errors.AsType[*nimbus.Error](err); known {
		return err
	}
	if errors.Is(err, multipart.ErrMessageTooLarge) {
		return nimbus.WrapError(nimbus.CodeTooLarge, err, "the form's headers are too large")
	}
	return nimbus.WrapError(nimbus.CodeBadRequest, err, "the body is not a complete multipart form")
}

func (f *formReader) readPart(part *multipart.Part) error {
	name := part.FormName()
	// curl gives a file name to everything it reads from a file.
	asFile := part.FileName() != "" || part.Header.Get("Content-Type") != ""
	switch {
	case name == "":
		return nil
	case name == functionPart:
		return f.readSettings(part)
	case name == codePart && asFile:
		return f.readCode(part)
	}
	text, err := f.readText(name, part)
	if err != nil {
		return err
	}
	if asFile {
		return f.addText(name, []string{text})
	}
	f.texts[name] = append(f.texts[name], text)
	return nil
}

// readText reads a part that has to be small.
func (f *formReader) readText(name string, part io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(part, f.left+1))
	if err != nil {
		return "", formError(err)
	}
	if f.left -= int64(len(text)); f.left < 0 {
		return "", transport.TooLarge("the form's text, up to its part "+name+",", jsonLimit(f.limits))
	}
	return string(text), nil
}

// readCode reads code that comes as a file: an archive, a program, or text.
func (f *formReader) readCode(part *multipart.Part) error {
	in := bufio.NewReaderSize(part, liftBuffer)
	magic, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return formError(err)
	}
	switch {
	case isArchive(part, magic):
		f.archive, err = f.readFile("an archive", in)
	case isProgram(magic):
		f.binary, err = f.readFile("a program", in)
	default:
		text, err := f.readText(codePart, in)
		if err != nil {
			return err
		}
		return f.addText(codePart, []string{text})
	}
	return err
}

// readFile brings code to the disk.
func (f *formReader) readFile(what string, in io.Reader) (*upload, error) {
	if f.hasCode() {
		return nil, givenTwice(codePart)
	}
	file, err := f.uploads.create()
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(file, io.LimitReader(in, f.limits.Archive+1))
	if err == nil && file.size > f.limits.Archive {
		err = transport.TooLarge(what, f.limits.Archive)
	}
	if err != nil {
		file.close()
		return nil, formError(err)
	}
	return file, nil
}

func (f *formReader) readSettings(part io.Reader) error {
	if f.settings {
		return nimbus.Errorf(nimbus.CodeBadRequest, "the form has the part %q more than once", functionPart)
	}
	f.settings = true
	object, err := liftBinary(part, f.limits, f.uploads)
	if err != nil {
		return formError(err)
	}
	if object.binary != nil {
		if f.hasCode() {
			object.binary.close()
			return givenTwice(codePart)
		}
		f.binary = object.binary
	}
	fields, err := parseObject("the part "+functionPart, object)
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

// addText takes a field that came as text.
func (f *formReader) addText(name string, values []string) error {
	if name == binaryField {
		return nimbus.Errorf(nimbus.CodeBadRequest, "a form has a program as it is, as a file in the part %q", codePart)
	}
	for _, v := range values {
		if !utf8.ValidString(v) {
			return nimbus.Errorf(nimbus.CodeBadRequest, "the part %q is neither a zip archive nor UTF-8 text", name)
		}
	}
	return f.add(name, formValue(name, values))
}

// add takes a field, once.
func (f *formReader) add(name string, raw json.RawMessage) error {
	if f.fields[name] != nil || name == codePart && f.hasCode() {
		return givenTwice(name)
	}
	f.fields[name] = raw
	return nil
}

// hasCode reports whether any code has come.
func (f *formReader) hasCode() bool {
	return f.archive != nil || f.binary != nil || f.fields[codePart] != nil
}

func givenTwice(name string) error {
	return nimbus.Errorf(nimbus.CodeBadRequest, "the form gives %q more than once", name)
}

// isArchive tells a zip from a single source file, by what it begins with; what is called a zip but isn't one
// is left to the use case, which knows what to say about it.
func isArchive(part *multipart.Part, magic []byte) bool {
	return strings.HasPrefix(string(magic), "PK") || path.Ext(part.FileName()) == ".zip" ||
		part.Header.Get("Content-Type") == "application/zip"
}

// isProgram tells one, native or WebAssembly, from source.
func isProgram(magic []byte) bool { return string(magic) == "\x7fELF" || string(magic) == "\x00asm" }

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
