package runtime_test

import (
	"maps"
	"testing"

	"nimbus/internal/runtime"
)

func TestStartSettings(t *testing.T) {
	t.Parallel()
	env := map[string]string{"LD_PRELOAD": "a", "NODE_OPTIONS": "b", "NODE_ENV": "c", "PYTHONPATH": "d", "PYTHONUNBUFFERED": "e",
		"GODEBUG": "f", "TZ": "g", "LANG": "h", "OTHER": "i", "UV_THREADPOOL_SIZE": "j"}
	for language, want := range map[runtime.Language]map[string]string{
		runtime.Python: {"LD_PRELOAD": "a", "PYTHONPATH": "d", "LANG": "h"},
		runtime.Node:   {"LD_PRELOAD": "a", "NODE_OPTIONS": "b", "LANG": "h", "UV_THREADPOOL_SIZE": "j"},
		runtime.Go:     nil,
		runtime.Custom: nil,
		runtime.Wasm:   nil,
	} {
		if got := (runtime.Runtime{Language: language}).StartSettings(env); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", language, got, want)
		}
	}
	if got := (runtime.Runtime{Language: runtime.Node}).StartSettings(map[string]string{"NODE_ENV": "production"}); got != nil {
		t.Errorf("a common environment asks for a fresh process: %v", got)
	}
}
