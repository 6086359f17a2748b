// Package python embeds the program that speaks the agent protocol inside a Python instance.
package python

import _ "embed" // for bootstrap.py

//go:embed bootstrap.py
var bootstrap string

// Bootstrap returns the source of bootstrap.py, a module of the standard library only, for CPython 3.8 and
// later. Its doc string says how it is run.
func Bootstrap() []byte { return []byte(bootstrap) }
