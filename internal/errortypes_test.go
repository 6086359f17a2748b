package internal

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nimbus"
)

// TestErrorTypes wants nimbus.ErrorTypes to be those that the sources of the runtimes and of the platform give: a
// metric has a label for each, however many types a function makes up.
func TestErrorTypes(t *testing.T) {
	t.Parallel()
	types := regexp.MustCompile(`["']((?:Runtime|Wasm|Function|Platform)\.[A-Z][A-Za-z]+)["']`)
	used := map[string]string{}
	for _, dir := range []string{"agent", "wasm", "wire", "runtime", "pool", "invoke"} {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || strings.Contains(path, "testdata") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			if !slices.Contains([]string{".go", ".cjs", ".py"}, filepath.Ext(path)) {
				return nil
			}
			text, err := os.ReadFile(path)
			for _, found := range types.FindAllSubmatch(text, -1) {
				used[string(found[1])] = path
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	delete(used, "Runtime.BuildError") // of instances that compile: no function's call ends with it
	for name, path := range used {
		if !slices.Contains(nimbus.ErrorTypes(), name) {
			t.Errorf("%s gives %s, which nimbus.ErrorTypes lacks", path, name)
		}
	}
	platforms := []string{nimbus.ErrorTypeTimeout, nimbus.ErrorTypeOutOfMemory, nimbus.ErrorTypeInitTimeout, nimbus.ErrorTypeProtocol,
		nimbus.ErrorTypePlatform} // by their constants
	for _, name := range nimbus.ErrorTypes() {
		if used[name] == "" && !slices.Contains(platforms, name) {
			t.Errorf("nothing gives %s", name)
		}
	}
}
