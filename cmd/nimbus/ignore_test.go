package main

import (
	"strings"
	"testing"
)

func TestIgnoreFollowsGitignore(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		patterns string
		ignored  string // words; a slash at the end is a directory
		kept     string
	}{
		{"*.pyc", "a.pyc x/y/b.pyc", "a.py a.pyc.txt"},
		{"build/", "build/ x/build/", "build"},
		{"/build", "build build/", "x/build"},
		{"docs/*.md", "docs/a.md", "docs/x/a.md x/docs/a.md a.md"},
		{"**/tests", "tests tests/ a/b/tests", "tests2"},
		{"a/**/b", "a/b a/x/b a/x/y/b", "b x/a/b"},
		{"data/**", "data/x data/x/y", "data data/"},
		{"*.log\n!keep.log", "a.log x/a.log", "keep.log x/keep.log"},
		{"!keep.log\n*.log", "keep.log", "keep"},
		{"# comment\n\n  \n\\#real\n\\!real", "#real !real", "comment"},
		{"file?.[ch]", "file1.c x/file2.h", "file.c file12.c file1.d"},
		{"trailing  \t\r", "trailing", "trailing2"},
	} {
		rules, err := parseIgnore(strings.NewReader(tt.patterns))
		if err != nil {
			t.Errorf("%q: %v", tt.patterns, err)
			continue
		}
		check := func(words string, want bool) {
			for word := range strings.FieldsSeq(words) {
				name, isDir := strings.CutSuffix(word, "/")
				if got := rules.ignores(name, isDir); got != want {
					t.Errorf("%q ignores %s: %t, want %t", tt.patterns, word, got, want)
				}
			}
		}
		check(tt.ignored, true)
		check(tt.kept, false)
	}
}

func TestIgnoreNamesTheBadLine(t *testing.T) {
	t.Parallel()
	for _, patterns := range []string{"ok\n[a-", "ok\na//b", "ok\n/"} {
		if _, err := parseIgnore(strings.NewReader(patterns)); err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
			t.Errorf("%q: %v", patterns, err)
		}
	}
}

func FuzzIgnore(f *testing.F) {
	f.Add("*.pyc\n!a/**/b\n/x/", "a/x/b")
	f.Add("**", "a")
	f.Add("**/**/**/a*b*c*d", "a/a/a/a/a/abcd")
	f.Fuzz(func(t *testing.T, patterns, name string) {
		rules, err := parseIgnore(strings.NewReader(patterns))
		if err != nil || strings.Contains(patterns, "!") {
			return // "!a/" brings back the directory and not the file
		}
		if rules.ignores(name, false) && !rules.ignores(name, true) {
			t.Error("a pattern that takes a file takes a directory of that name too")
		}
	})
}
