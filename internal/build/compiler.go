package build

// Compiler makes packages that run from packages of source.
type Compiler struct{}
