package wasm

import (
	"context"
	"crypto/rand"
	"io"
	"maps"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// plain hides that a writer is a file: wazero would ask the kernel about it for every instance.
type plain struct{ io.Writer }

// streams are an instance's standard files. A nil stdin is at its end.
type streams struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	wait           func() // for a call, by what runs ahead of one
}

// configure makes what every instance of the function gets, except for its streams. What a module has no use for
// is left out: it costs time at every call.
func (f *Function) configure() wazero.ModuleConfig {
	s := f.settings
	c := wazero.NewModuleConfig().WithName("").WithStartFunctions().WithArgs(s.Name).
		WithSysWalltime().WithSysNanotime().WithSysNanosleep().WithRandSource(rand.Reader)
	if f.module.settings {
		for _, name := range slices.Sorted(maps.Keys(s.Env)) {
			c = c.WithEnv(name, s.Env[name])
		}
	}
	if !f.module.files {
		return c
	}
	shown := wazero.NewFSConfig().WithFSMount(contextFS{f}, contextDir)
	if s.CodeDir != "" {
		shown = shown.WithReadOnlyDirMount(s.CodeDir, s.CodeDir)
	}
	if s.TmpDir != "" {
		shown = shown.WithDirMount(s.TmpDir, s.TmpDir)
	}
	return c.WithFSConfig(shown)
}

// instantiate makes an instance of the function's module, of which nothing but a start section has run.
func (f *Function) instantiate(ctx context.Context, s streams) (api.Module, error) {
	f.wait = s.wait
	c := f.config.WithStdout(plain{s.stdout}).WithStderr(plain{s.stderr})
	if s.stdin != nil {
		c = c.WithStdin(s.stdin)
	}
	ctx = experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(
		func(_, _ uint64) experimental.LinearMemory { return f.memory }))
	return f.engine.runtime.InstantiateModule(ctx, f.module.compiled, c)
}
