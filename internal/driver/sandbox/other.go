//go:build !linux || !(amd64 || arm64)

package sandbox

import (
	"errors"

	"nimbus/internal/driver"
)

// Driver makes instances of Linux namespaces; there are none here.
type Driver struct{ driver.Driver }

// New says that this machine can't have a Driver.
func New(Config) (*Driver, error) {
	return nil, errors.New("the sandbox driver needs Linux on amd64 or arm64")
}

// IsInit reports whether this process was started to become a zygote: never here.
func IsInit() bool { return false }

// Init is called when IsInit says so.
func Init() { panic("sandbox: there is nothing to initialise here") }
