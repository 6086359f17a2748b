//go:build !linux || (!amd64 && !arm64)

package program

import "embed"

var embedded embed.FS
