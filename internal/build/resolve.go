package build

import (
	"errors"
	"strings"
)

const (
	// maxLinks is how many links the kernel follows in one path (path_resolution(7)).
	maxLinks = 40
	// maxSteps bounds the path elements walked to check all links of a tree: links that point through
	// each other would otherwise cost minutes.
	maxSteps = 1_000_000
)

var (
	errLeaves  = errors.New("leaves the package")
	errLoop    = errors.New("is one of a loop of links")
	errTangled = errors.New("is one of too many links through links")
)

// resolve follows every link in name, as the kernel would were the tree its root directory, except that
// nothing may climb above it. What is not there is taken as it is written. Each element walked costs one of
// steps.
func (t *tree) resolve(name string, steps *int) (string, error) {
	todo := strings.Split(name, "/")
	var at []string
	for followed := 0; len(todo) > 0; {
		if *steps--; *steps < 0 {
			return "", errTangled
		}
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(at) == 0 {
				return "", errLeaves
			}
			at = at[:len(at)-1]
			continue
		}
		at = append(at, part)
		n := t.byName[strings.Join(at, "/")]
		if n == nil || !n.isLink() {
			continue
		}
		at = at[:len(at)-1]
		if followed++; followed > maxLinks {
			return "", errLoop
		}
		if strings.HasPrefix(n.target, "/") {
			return "", errLeaves
		}
		todo = append(strings.Split(n.target, "/"), todo...)
	}
	if len(at) == 0 {
		return ".", nil
	}
	return strings.Join(at, "/"), nil
}
