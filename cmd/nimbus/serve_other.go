//go:build !linux

package main

import (
	"context"
	"errors"

	"nimbus/internal/config"
)

// runServe refuses: instances need Linux.
func runServe(context.Context, *cli, config.Sources) error {
	return errors.New("the server runs on Linux only; the other verbs work here, against a server elsewhere (--server)")
}

// runDoctor refuses for the same reason.
func runDoctor(context.Context, *cli, config.Sources) error {
	return errors.New("functions run on Linux only; this machine can use a server elsewhere (--server)")
}
