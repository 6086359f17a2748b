package transport

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"nimbus"
)

func TestTakeBody(t *testing.T) {
	t.Parallel()
	full := nimbus.Errorf(nimbus.CodeInsufficientStorage, "full")
	all := func(body io.Reader) error {
		_, err := io.Copy(io.Discard, body)
		return err
	}
	for name, c := range map[string]struct {
		body   io.Reader
		length int64
		take   func(io.Reader) error
		code   nimbus.Code
	}{
		"at the bound":               {strings.NewReader("12345678"), 8, all, ""},
		"length not told":            {strings.NewReader("12345678"), -1, all, ""},
		"part of it":                 {strings.NewReader("12345678"), 8, func(io.Reader) error { return nil }, ""},
		"over, told":                 {strings.NewReader("123456789"), 9, all, nimbus.CodeTooLarge},
		"over, not told":             {strings.NewReader("123456789"), -1, all, nimbus.CodeTooLarge},
		"over, in what is not taken": {strings.NewReader("123456789"), -1, func(io.Reader) error { return nil }, nimbus.CodeTooLarge},
		"broken off":                 {strings.NewReader("123"), 8, all, nimbus.CodeBadRequest},
		"broken off, error":          {io.MultiReader(strings.NewReader("1"), failing{}), -1, all, nimbus.CodeBadRequest},
		"refused":                    {strings.NewReader("123"), 3, func(io.Reader) error { return full }, nimbus.CodeInsufficientStorage},
		"refused for being broken off": {io.MultiReader(strings.NewReader("1"), failing{}), -1,
			func(body io.Reader) error { return errors.Join(full, all(body)) }, nimbus.CodeBadRequest},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", c.body)
		r.ContentLength = c.length
		if err := TakeBody(httptest.NewRecorder(), r, 8, c.take); nimbus.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}
