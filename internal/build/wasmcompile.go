package build

import (
	"context"
	"fmt"
	"os"

	"nimbus/internal/blob"
	"nimbus/internal/runtime"
	"nimbus/internal/wasm/compilemsg"
)

const moduleFile = "module.wasm"

// compileWasm compiles a module to machine code and returns the directory of what the worker will look for.
func (j *job) compileWasm(ctx context.Context, module string) (string, error) {
	in, out, tar := j.path("module"), j.path("machine"), j.path("machine.tar")
	for _, dir := range []string{in, out} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return "", fmt.Errorf("prepare a build: %w", blob.DiskError(err))
		}
	}
	f, err := os.Open(module)
	if err != nil {
		return "", fmt.Errorf("read the module: %w", err)
	}
	defer discard(f)
	if err := writeFile(j.path("module", moduleFile), f, sharedFile); err != nil {
		return "", fmt.Errorf("prepare a build: %w", err)
	}
	j.progress("compiling with " + compilemsg.Toolchain)
	rt := runtime.Runtime{Name: "build-wasm", Language: runtime.WasmCompiler, Path: j.cfg.Programs.Wasm}
	if err := j.askInto(ctx, rt, in, compilemsg.Request{Module: moduleFile}, tar, j.packages.cfg.Limits.Unpacked); err != nil {
		return "", err
	}
	return out, untar(tar, out)
}
