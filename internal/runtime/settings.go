package runtime

import (
	"slices"
	"strings"
)

// StartSettings returns the part of a function's environment that acts only when the runtime's process starts:
// a process that waits for code can't take it on. The agent starts its programs with the code in place, so to
// them all of the environment is in time, and a wasm module has no process.
func (r Runtime) StartSettings(env map[string]string) map[string]string {
	var found map[string]string
	for name, value := range env {
		if !r.actsAtStart(name) {
			continue
		}
		if found == nil {
			found = make(map[string]string)
		}
		found[name] = value
	}
	return found
}

func (r Runtime) actsAtStart(name string) bool {
	var prefixes, names, except []string // bootstrap.py has Python's too
	switch r.Language {
	case Python:
		prefixes, except = []string{"PYTHON"}, []string{"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"} // in effect anyway
	case Node:
		prefixes, except = []string{"NODE_", "UV_"}, []string{"NODE_ENV"} // which programs read themselves
		names = []string{"SSL_CERT_DIR", "SSL_CERT_FILE", "SSLKEYLOGFILE"}
	default:
		return false
	}
	prefixes = append(prefixes, "LD_", "MALLOC_", "LC_")
	names = append(names, "GLIBC_TUNABLES", "LANG", "OPENSSL_CONF", "OPENSSL_MODULES")
	return !slices.Contains(except, name) && (slices.Contains(names, name) ||
		slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }))
}
