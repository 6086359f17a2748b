package wasm

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// Engine compiles modules, and holds what they may import.
type Engine struct {
	runtime wazero.Runtime
	cache   wazero.CompilationCache
	offered map[string]map[string]api.FunctionDefinition // by module and name
}

// NewEngine returns an engine that keeps compiled modules in a directory, and takes them from there.
func NewEngine(ctx context.Context, cacheDir string) (*Engine, error) {
	cache, err := wazero.NewCompilationCacheWithDir(cacheDir)
	if err != nil {
		return nil, fmt.Errorf("open the cache of compiled modules: %w", err)
	}
	e := &Engine{
		runtime: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().
			WithCoreFeatures(api.CoreFeaturesV2).WithCompilationCache(cache)),
		cache:   cache,
		offered: map[string]map[string]api.FunctionDefinition{},
	}
	if err := e.offer(ctx); err != nil {
		return nil, errors.Join(err, e.Close(ctx))
	}
	return e, nil
}

// offer makes what modules may import.
func (e *Engine) offer(ctx context.Context) error {
	wasi := e.runtime.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(wasi)
	for _, builder := range []wazero.HostModuleBuilder{wasi, assemblyScript(e.runtime)} {
		module, err := builder.Instantiate(ctx)
		if err != nil {
			return fmt.Errorf("make the host's functions: %w", err)
		}
		e.offered[module.Name()] = module.ExportedFunctionDefinitions()
	}
	return nil
}

// Close frees compiled code. No function of the engine may be in use.
func (e *Engine) Close(ctx context.Context) error {
	return errors.Join(e.runtime.Close(ctx), e.cache.Close(ctx))
}
