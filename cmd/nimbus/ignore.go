package main

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"strings"
)

// ignoreFile lists, in a directory that is deployed, what stays behind. Its patterns are those of
// .gitignore: # comments, ! brings back, a slash anchors, a slash at the end means directories, * ? [a-z]
// within a name, ** across directories. The last pattern that matches decides.
const ignoreFile = ".nimbusignore"

// ignoredByDefault never belongs into a package; an ignore file may bring it back.
const ignoredByDefault = `
.git/
.hg/
.svn/
.nimbusignore
.DS_Store
.venv/
__pycache__/
.mypy_cache/
.pytest_cache/
.ruff_cache/
node_modules/.cache/
`

// ignoreRules decide about paths, relative and slash-separated.
type ignoreRules []ignoreRule

type ignoreRule struct {
	segments []string // "**" spans directories
	dirOnly  bool
	negate   bool
}

// parseIgnore reads patterns, one a line.
func parseIgnore(r io.Reader) (ignoreRules, error) {
	var rules ignoreRules
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimRight(strings.TrimSuffix(lines.Text(), "\r"), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		rule, err := parseIgnoreRule(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		rules = append(rules, rule)
	}
	return rules, lines.Err()
}

func parseIgnoreRule(line string) (ignoreRule, error) {
	var rule ignoreRule
	pattern := line
	pattern, rule.negate = strings.CutPrefix(pattern, "!")
	pattern = strings.TrimPrefix(pattern, `\`) // \# and \!
	pattern, rule.dirOnly = strings.CutSuffix(pattern, "/")
	anchored := strings.Contains(pattern, "/")
	rule.segments = strings.Split(strings.TrimPrefix(pattern, "/"), "/")
	if !anchored {
		rule.segments = append([]string{"**"}, rule.segments...)
	}
	for _, s := range rule.segments {
		if s == "" {
			return rule, fmt.Errorf("pattern %q has an empty part", line)
		}
		if _, err := path.Match(s, ""); err != nil {
			return rule, fmt.Errorf("pattern %q: %w", line, err)
		}
	}
	return rule, nil
}

// ignores reports whether the path stays behind. Of an ignored directory nothing is looked at.
func (rules ignoreRules) ignores(name string, isDir bool) bool {
	ignored := false
	segments := strings.Split(name, "/")
	for _, rule := range rules {
		if ignored == rule.negate && (isDir || !rule.dirOnly) && matchSegments(rule.segments, segments) {
			ignored = !rule.negate
		}
	}
	return ignored
}

func matchSegments(pattern, name []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			if len(pattern) == 1 {
				return len(name) > 0 // "a/**" is what a holds, not a
			}
			for i := range name {
				if matchSegments(pattern[1:], name[i:]) {
					return true
				}
			}
			return false
		}
		if len(name) == 0 {
			return false
		}
		if ok, err := path.Match(pattern[0], name[0]); err != nil || !ok {
			return false
		}
		pattern, name = pattern[1:], name[1:]
	}
	return len(name) == 0
}
