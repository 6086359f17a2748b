package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
)

// format is how a verb prints what it has to say.
type format string

// The formats.
const (
	formatTable format = "table"
	formatJSON  format = "json"
	formatYAML  format = "yaml"
)

// Set implements pflag.Value.
func (f *format) Set(s string) error {
	switch format(s) {
	case formatTable, formatJSON, formatYAML:
		*f = format(s)
		return nil
	}
	return errors.New("must be table, json or yaml")
}

// String implements pflag.Value.
func (f *format) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *format) Type() string { return "format" }

// print writes v to stdout: as JSON or YAML with the API's names, or the way table draws it.
func (c *cli) print(v any, table func(*table)) error {
	if c.output != formatTable {
		return c.printDocument(v)
	}
	t := newTable(c.out)
	table(t)
	return t.flush()
}

func (c *cli) printDocument(v any) error {
	text, err := marshal(v)
	if err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	if c.output == formatYAML {
		if text, err = yaml.JSONToYAML(text); err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
		_, err = c.out.Write(text)
		return err
	}
	return c.printJSON(text)
}

// printJSON indents JSON without touching its numbers, strings or order.
func (c *cli) printJSON(text []byte) error {
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return fmt.Errorf("indent output: %w", err)
	}
	out.Truncate(len(bytes.TrimRight(out.Bytes(), "\n")))
	out.WriteByte('\n')
	_, err := c.out.Write(out.Bytes())
	return err
}

// printLine writes one of a sequence: a line of JSON, or a YAML document.
func (c *cli) printLine(v any) error {
	text, err := marshal(v)
	if err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	if c.output == formatYAML {
		if text, err = yaml.JSONToYAML(text); err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
		text = append([]byte("---\n"), text...)
	}
	_, err = c.out.Write(text)
	return err
}

// marshal is JSON with a newline behind it, and with <, > and & as they are.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return out.Bytes(), err
}
