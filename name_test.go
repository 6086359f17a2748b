package nimbus_test

import (
	"regexp"
	"strings"
	"testing"

	"nimbus"

	"pgregory.net/rapid"
)

func TestValidName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a": true, "Z": true, "0": true, "hello-python": true, "a_b-C9": true, strings.Repeat("x", 64): true,
		"": false, "-a": false, "_a": false, "a b": false, "a.b": false, "a/b": false, "é": false, "a\x00": false,
		strings.Repeat("x", 65): false, nimbus.NewID().String(): false,
		strings.ToUpper(nimbus.NewID().String()): false,
	} {
		if got := nimbus.ValidName(name); got != want {
			t.Errorf("ValidName(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestValidNameIsTheDocumentedForm(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[@-z0-9_-]{0,70}`)).Draw(t, "name")
		if _, err := nimbus.ParseID(name); err == nil {
			t.Skip("an id")
		}
		if got, want := nimbus.ValidName(name), form.MatchString(name); got != want {
			t.Errorf("ValidName(%q) = %v, want %v", name, got, want)
		}
	})
}
