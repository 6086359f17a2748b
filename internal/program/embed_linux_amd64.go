package program

import "embed"

//go:embed bin/linux-amd64
var embedded embed.FS
