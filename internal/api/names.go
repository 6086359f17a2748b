package api

import (
	"fmt"
	"maps"
	"slices"

	"github.com/agnivade/levenshtein"
)

// unknownName says that a name is none of the known ones, and which it may have been meant to be.
func unknownName(what, name string, known []string) string {
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("is no %s; did you mean %s?", what, near)
	}
	return "is no " + what + " here"
}

// nearest returns the known name that few typing errors lead to, "" when there is none.
func nearest(name string, known []string) string {
	best, distance := "", max(1, len(name)/3)+1
	for _, k := range known {
		if d := levenshtein.ComputeDistance(name, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
