package function

import (
	"cmp"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"nimbus"
)

var envForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// reservedEnv are names that the platform gives to a function itself; so are all that begin with
// reservedPrefix.
func reservedEnv() []string {
	return []string{"AWS_LAMBDA_RUNTIME_API", "_HANDLER", "LAMBDA_TASK_ROOT"}
}

const reservedPrefix = "NIMBUS_"

// checkEnv names the variables at fault, never their values.
func checkEnv(v *nimbus.Invalid, env map[string]string, bound int64) {
	var size int64
	for _, name := range slices.Sorted(maps.Keys(env)) {
		value := env[name]
		size += int64(len(name) + len(value))
		switch {
		case !envForm.MatchString(name):
			v.Add("env_vars", "the name %.100q must be letters, digits and _, and not begin with a digit", name)
		case strings.HasPrefix(name, reservedPrefix) || slices.Contains(reservedEnv(), name):
			v.Add("env_vars", "the name %.100q is reserved", name)
		case strings.ContainsRune(value, 0) || !utf8.ValidString(value):
			v.Add("env_vars", "the value of %.100q must be UTF-8 without NUL", name)
		}
	}
	if size > bound {
		v.Add("env_vars", "names and values together must be at most %d bytes, they are %d", bound, size)
	}
}

func checkTags(v *nimbus.Invalid, tags []string) {
	if len(tags) > maxTags {
		v.Add("tags", "must be at most %d", maxTags)
	}
	for _, tag := range tags {
		unprintable := strings.ContainsFunc(tag, func(r rune) bool { return !unicode.IsPrint(r) })
		if tag == "" || len(tag) > maxTag || unprintable || !utf8.ValidString(tag) {
			v.Add("tags", "%.150q must be 1 to %d bytes of printable text", tag, maxTag)
		}
	}
}

func checkOneOf[T ~string](v *nimbus.Invalid, field string, value T, allowed []T) {
	if !slices.Contains(allowed, value) {
		words := make([]string, len(allowed))
		for i, a := range allowed {
			words[i] = string(a)
		}
		v.Add(field, "must be one of %s", strings.Join(words, ", "))
	}
}

// between returns the value; out of bounds it adds to v.
func between[T cmp.Ordered](v *nimbus.Invalid, field string, value, least, most T) T {
	if value < least || value > most {
		v.Add(field, "must be %v to %v", least, most)
	}
	return value
}

// megabytes returns the bytes of a value in MB; least and most are bytes.
func megabytes(v *nimbus.Invalid, field string, mb, least, most int64) int64 {
	if mb < least/nimbus.MiB || mb > most/nimbus.MiB {
		v.Add(field, "must be %d to %d", least/nimbus.MiB, most/nimbus.MiB)
		return 0 // the product might overflow
	}
	return mb * nimbus.MiB
}

// fieldErrors returns the fields that an error of the domain names.
func fieldErrors(err error) []nimbus.FieldError {
	var e *nimbus.Error
	if errors.As(err, &e) {
		return e.Fields
	}
	return nil
}
