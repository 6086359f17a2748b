package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"

	"nimbus"
	"nimbus/internal/transport"
)

// jsonLimit bounds a JSON body: code as text, which JSON may escape to several times its size, and settings.
func jsonLimit(l nimbus.Limits) int64 { return 4*(l.InlineCode+l.Env) + 256*nimbus.KiB }

// binaryLimit bounds one with a program in base64.
func binaryLimit(l nimbus.Limits) int64 { return jsonLimit(l) + (l.Archive+2)/3*4 }

const (
	mediaJSON = "application/json"
	mediaForm = "multipart/form-data"
)

// mediaType returns the media type of a request's body; none given is JSON. Anything but what is taken is
// CodeUnsupportedMedia.
func mediaType(r *http.Request, taken ...string) (string, error) {
	header := r.Header.Get("Content-Type")
	if header == "" {
		return mediaJSON, nil
	}
	media, _, err := mime.ParseMediaType(header)
	if strings.HasSuffix(media, "+json") {
		media = mediaJSON
	}
	for _, t := range taken {
		if err == nil && media == t {
			return media, nil
		}
	}
	return "", nimbus.Errorf(nimbus.CodeUnsupportedMedia, "the Content-Type is %q, and this takes %s", header, strings.Join(taken, " or "))
}

// decodeJSON reads an object of T's fields from a request's body.
func decodeJSON[T any](w http.ResponseWriter, r *http.Request, limit int64, refused map[string]string) (T, error) {
	var none T
	body, err := transport.ReadBody(w, r, limit)
	if err != nil {
		return none, err
	}
	fields, err := parseObject("the body", lifted{rest: body})
	if err != nil {
		return none, err
	}
	return decodeFields[T](fields, refused)
}

// parseObject reads a JSON object, and nothing after it; what says where it came.
func parseObject(what string, object lifted) (map[string]json.RawMessage, error) {
	body := object.rest
	if len(body) == 0 {
		return nil, nimbus.Errorf(nimbus.CodeBadRequest, "%s is empty; a JSON object is wanted", what)
	}
	if !utf8.Valid(body) {
		return nil, nimbus.Errorf(nimbus.CodeBadRequest, "%s is not JSON: it is not UTF-8", what)
	}
	var fields map[string]json.RawMessage
	err := json.Unmarshal(body, &fields)
	if _, wrongType := err.(*json.UnmarshalTypeError); wrongType || err == nil && fields == nil {
		return nil, nimbus.Errorf(nimbus.CodeBadRequest, "%s is not a JSON object", what)
	}
	if err != nil && object.binary != nil {
		what += ", the text of its binary left out," // columns are counted without it
	}
	if err != nil {
		return nil, transport.BadJSON(what, body, err)
	}
	return fields, checkOnce(body)
}

// checkOnce names the fields that an object has more than once: of two values the one that was meant can't be
// told. The body is known to be an object.
func checkOnce(body []byte) error {
	var invalid nimbus.Invalid
	seen := map[string]int{}
	dec := json.NewDecoder(bytes.NewReader(body))
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("read a valid object again: %w", err)
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return fmt.Errorf("read a valid object again: %w", err)
		}
		if seen[name.(string)]++; seen[name.(string)] == 2 {
			invalid.Add(name.(string), "is given more than once")
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return fmt.Errorf("read a valid object again: %w", err)
		}
	}
	return invalid.Err()
}

// decodeFields sets the fields of a struct by their JSON names. Every field that T lacks, that is refused by
// name, or whose type is wrong is named in the error. Null is as good as nothing.
func decodeFields[T any](fields map[string]json.RawMessage, refused map[string]string) (T, error) {
	var (
		out     T
		invalid nimbus.Invalid
	)
	targets, names := jsonFields(&out)
	for _, name := range sortedKeys(fields) {
		target, ok := targets[name]
		reason, isRefused := refused[name]
		switch {
		case isRefused:
			invalid.Add(name, "%s", reason)
		case !ok:
			invalid.Add(name, "%s", unknownName("field", name, names))
		default:
			if err := json.Unmarshal(fields[name], target.Addr().Interface()); err != nil {
				invalid.Add(name, "must be %s", typeText(target.Type()))
			}
		}
	}
	return out, invalid.Err()
}

// jsonFields returns the fields of the struct that p points to, by their JSON names, and these in order.
func jsonFields(p any) (map[string]reflect.Value, []string) {
	v := reflect.ValueOf(p).Elem()
	fields := make(map[string]reflect.Value, v.NumField())
	names := make([]string, v.NumField())
	for i := range v.NumField() {
		names[i], _, _ = strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		fields[names[i]] = v.Field(i)
	}
	return fields, names
}

// typeText says in words what JSON a Go type takes.
func typeText(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return typeText(t.Elem())
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "base64"
		}
		return "an array, each item " + typeText(t.Elem())
	case reflect.Map:
		return "an object, each value " + typeText(t.Elem())
	}
	panic(fmt.Sprintf("no words for %s", t))
}
