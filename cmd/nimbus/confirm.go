package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
)

// confirm asks on a terminal. Without one nobody can answer, so --yes must be given.
func (c *cli) confirm(what string) error {
	if !isTerminal(c.in) {
		return usagef("stdin is no terminal to ask on; give --yes to %s", what)
	}
	return c.ask(what)
}

func (c *cli) ask(what string) error {
	fmt.Fprintf(c.err, "%s? [y/N] ", what)
	answer, _ := bufio.NewReader(c.in).ReadString('\n') // a closed terminal is a no
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("not done")
}

// printDeleted says that something is gone.
func (c *cli) printDeleted(kind, name string) error {
	return c.print(map[string]string{"deleted": name}, func(t *table) {
		t.row("deleted", kind+" "+name)
	})
}
