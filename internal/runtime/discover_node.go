package runtime

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	oldestNode = "18"

	// askNodeVersion makes an interpreter print what Runtime says about it. Bun can go by the name of node.
	askNodeVersion = `console.log(process.versions.bun ? "bun" : process.release.name); console.log(process.version)`
)

func askNode(ctx context.Context, path string) (Runtime, error) {
	said, err := answer(ctx, []string{"LANG=C.UTF-8"}, path, "-e", askNodeVersion)
	if err != nil {
		return Runtime{}, err
	}
	if len(said) != 2 || !strings.HasPrefix(said[1], "v") {
		return Runtime{}, fmt.Errorf("it does not say its version but %.100q", said)
	}
	implementation, version := said[0], said[1][1:]
	switch {
	case implementation != "node":
		return Runtime{}, fmt.Errorf("it is %s; only Node is supported", implementation)
	case !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(version):
		return Runtime{}, fmt.Errorf("%s is a pre-release", version)
	case compareVersions(version, oldestNode) < 0:
		return Runtime{}, fmt.Errorf("%s is too old; %s or later is needed", version, oldestNode)
	}
	major, _, _ := strings.Cut(version, ".")
	return Runtime{
		Name: "nodejs" + major, Language: Node, Version: version, Path: path,
		Trees: installation(path, filepath.Dir(filepath.Dir(path))), DefaultHandler: "handler.handle",
	}, nil
}
