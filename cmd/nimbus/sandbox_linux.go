package main

import "nimbus/internal/driver/sandbox"

// sandboxInit returns unless this process is one of an instance.
func sandboxInit() {
	if sandbox.IsInit() {
		sandbox.Init()
	}
}
