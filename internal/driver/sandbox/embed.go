//go:build linux && (amd64 || arm64)

package sandbox

import _ "embed" // for zygote.py

//go:embed zygote.py
var zygoteSource string
