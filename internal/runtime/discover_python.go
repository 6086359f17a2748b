package runtime

import (
	"context"
	"fmt"
	"strings"
)

const (
	oldestPython = "3.8"

	// askPythonVersion makes an interpreter print what Runtime says about it.
	askPythonVersion = `import sys; print(sys.implementation.name, "%d.%d.%d" % sys.version_info[:3], ` +
		`sys.version_info[3], sys.base_prefix, sep="\n")`
)

func askPython(ctx context.Context, path string) (Runtime, error) {
	said, err := answer(ctx, []string{"LANG=C.UTF-8"}, path, "-I", "-S", "-c", askPythonVersion)
	if err != nil {
		return Runtime{}, err
	}
	if len(said) != 4 {
		return Runtime{}, fmt.Errorf("it does not say its version but %.100q", said)
	}
	implementation, version, level, prefix := said[0], said[1], said[2], said[3]
	switch {
	case implementation != "cpython":
		return Runtime{}, fmt.Errorf("it is %s; only CPython is supported", implementation)
	case level != "final":
		return Runtime{}, fmt.Errorf("%s is a pre-release (%s)", version, level)
	case compareVersions(version, oldestPython) < 0:
		return Runtime{}, fmt.Errorf("%s is too old; %s or later is needed", version, oldestPython)
	}
	name := "python" + version[:strings.LastIndex(version, ".")]
	return Runtime{
		Name: name, Language: Python, Version: version, Path: path, Trees: installation(path, prefix), DefaultHandler: "handler.handle",
	}, nil
}
