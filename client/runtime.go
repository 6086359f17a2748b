package client

import (
	"context"
	"net/http"
)

// Runtimes is what the server's machine can run, and what it runs it in.
type Runtimes struct {
	Items      []Runtime   `json:"items"`
	Toolchains []Toolchain `json:"toolchains"`
	Rejected   []Rejected  `json:"rejected"`
	Drivers    []Driver    `json:"drivers"`
}

// Runtime is one way to start a language.
type Runtime struct {
	Name           string   `json:"name"`
	Language       string   `json:"language"`
	Version        string   `json:"version"`
	DefaultHandler string   `json:"default_handler"`
	Aliases        []string `json:"aliases,omitempty"`
	Path           string   `json:"path"`            // the program on the server's machine that instances execute
	Trees          []string `json:"trees,omitempty"` // directories of that machine that instances see for it
}

// Toolchain compiles a language on the server's machine.
type Toolchain struct {
	Language string   `json:"language"`
	Version  string   `json:"version"`
	Path     string   `json:"path"`
	Trees    []string `json:"trees,omitempty"` // directories of that machine that it needs
}

// Rejected looked like a runtime or a toolchain and can't be used.
type Rejected struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Driver is what makes instances.
type Driver struct {
	Name     string    `json:"name"`
	Healthy  bool      `json:"healthy"`
	Reason   string    `json:"reason,omitempty"` // why it is not healthy
	Features []Feature `json:"features"`
}

// Feature is one protection or limit of a driver.
type Feature struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"` // how it is done, or why it is missing and what would help
}

// Runtimes returns what the server found on its machine.
func (c *Client) Runtimes(ctx context.Context) (*Runtimes, error) {
	out := &Runtimes{}
	return out, c.do(ctx, call{method: http.MethodGet, segments: []string{"runtimes"}}, nil, out)
}
