package build

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	goruntime "runtime"

	"nimbus"
	"nimbus/internal/runtime"
	"nimbus/internal/wasm/compilemsg"
)

// planVersion is counted up when the same request would come to another package.
const planVersion = 1

// plan is what has to be done for a request.
type plan struct {
	Request
	fromGo bool              // there is Go source to compile
	goTool runtime.Toolchain // with which
	goos   string            // and for what
	goarch string
}

// plan decides how a request is compiled. Whether there is Go source is read from the runtime's point of view: a
// file that has the handler's name is run as it is.
func (c *Compiler) plan(r Request, prebuilt bool) (plan, error) {
	p := plan{Request: r}
	switch {
	case r.Runtime.Language != runtime.Go && r.Runtime.Language != runtime.Wasm:
		return p, fmt.Errorf("compile: %s is not compiled", r.Runtime.Language)
	case prebuilt && r.Runtime.Language == runtime.Go:
		return p, fmt.Errorf("compile: %s is compiled already", r.Handler)
	case prebuilt:
		return p, nil
	}
	p.fromGo, p.goos, p.goarch = true, "linux", goruntime.GOARCH
	if r.Runtime.Language == runtime.Wasm {
		p.goos, p.goarch = "wasip1", "wasm"
	}
	var err error
	p.goTool, err = c.toolchains.Toolchain(runtime.Go)
	var known *nimbus.Error
	if errors.As(err, &known) && len(known.Fields) > 0 {
		return p, &CompileError{Message: known.Fields[0].Detail}
	}
	return p, err
}

// key names everything that decides what comes of a plan.
func (p plan) key() string {
	text, err := json.Marshal([]string{fmt.Sprint(planVersion), p.Source.Hash, string(p.Runtime.Language), p.Handler,
		p.toolchain(), p.goTool.Path, p.goos, p.goarch, filepath.Base(filepath.Dir(p.Runtime.Path))}) // named after what is in it
	if err != nil {
		panic(err) // strings always marshal
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// toolchain says what compiles: "go1.26.8".
func (p plan) toolchain() string {
	switch {
	case p.fromGo && p.Runtime.Language == runtime.Wasm:
		return "go" + p.goTool.Version + ", " + compilemsg.Toolchain
	case p.fromGo:
		return "go" + p.goTool.Version
	}
	return compilemsg.Toolchain
}
