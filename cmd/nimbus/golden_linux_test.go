package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write golden files and docs/cli.md instead of comparing with them")

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (run with -update to accept):\n%s", path, diff)
	}
}

// verbs is every command of a program in an empty environment, depth first.
func verbs() []*cobra.Command {
	root := newRootCommand(&cli{getenv: func(string) string { return "" }})
	var all []*cobra.Command
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Hidden || cmd.Name() == "help" {
			return
		}
		all = append(all, cmd)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
	return all
}

func TestHelp(t *testing.T) {
	t.Parallel()
	trailing := regexp.MustCompile(`(?m)[ \t]+$`)
	for _, verb := range verbs() {
		words := strings.Fields(verb.CommandPath())
		t.Run(strings.Join(words, "_"), func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("nimbus", append(words[1:], "--help")...)
			cmd.Env = []string{}
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", "help", strings.Join(words, "_")+".txt"), trailing.ReplaceAllString(string(out), ""))
		})
	}
}

func TestEveryVerbSaysWhatItDoes(t *testing.T) {
	t.Parallel()
	for _, verb := range verbs() {
		if verb.Short == "" || strings.HasSuffix(verb.Short, ".") {
			t.Errorf("%s: its description %q is empty or ends with a dot", verb.CommandPath(), verb.Short)
		}
		if verb.Args == nil {
			t.Errorf("%s: it does not check its arguments", verb.CommandPath())
		}
		verb.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s: --%s has no description", verb.CommandPath(), f.Name)
			}
		})
	}
}

func TestReference(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	fmt.Fprint(&out, "# The command line\n\n"+
		"<!-- Made from the commands themselves: go test ./cmd/nimbus -run TestReference -update -->\n\n"+
		"Exit codes: 0 done, 1 refused or failed, 2 wrong usage. Errors are one line on stderr, after what a compiler said; with `-o json`\n"+
		"nothing but JSON comes on stdout. What takes over a second says so on stderr.\n")
	all := verbs()
	fmt.Fprint(&out, "\n## Flags of every verb\n\n")
	writeFlags(&out, all[0].PersistentFlags())
	for _, verb := range all[1:] {
		writeVerb(&out, verb)
	}
	golden(t, filepath.Join("..", "..", "docs", "cli.md"), out.String())
}

func writeVerb(out *bytes.Buffer, verb *cobra.Command) {
	if verb.HasSubCommands() {
		fmt.Fprintf(out, "\n## %s\n\n%s.\n", verb.CommandPath(), verb.Short)
		if len(verb.Aliases) > 0 {
			fmt.Fprintf(out, "Also called `%s`.\n", strings.Join(verb.Aliases, "`, `"))
		}
		return
	}
	level := "##"
	if verb.Parent().HasParent() {
		level = "###"
	}
	fmt.Fprintf(out, "\n%s %s\n\n", level, verb.CommandPath())
	text := verb.Short + "."
	if verb.Long != "" {
		text = verb.Long
	}
	fmt.Fprintf(out, "%s\n\n```\n%s\n```\n", text, verb.UseLine())
	if verb.Example != "" {
		fmt.Fprintf(out, "\nFor example:\n\n```sh\n%s\n```\n", verb.Example)
	}
	if flags := verb.LocalNonPersistentFlags(); flags.HasAvailableFlags() {
		out.WriteString("\n")
		writeFlags(out, flags)
	}
}

func writeFlags(out *bytes.Buffer, flags *pflag.FlagSet) {
	cell := strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;")
	fmt.Fprint(out, "| flag | meaning |\n| --- | --- |\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		meaning := f.Usage
		switch f.DefValue {
		case "", "0", "0s", "[]", "false":
		default:
			meaning += "; default `" + f.DefValue + "`"
		}
		fmt.Fprintf(out, "| %s | %s |\n", name, cell.Replace(meaning))
	})
}
