package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/knadh/koanf/v2"
)

// layer is what one source sets.
type layer struct {
	values   *koanf.Koanf
	origin   func(key string) string // where the key was set, for messages
	problems []error
}

func defaultLayer(all []setting) layer {
	l := layer{values: koanf.New("."), origin: func(string) string { return "default" }}
	for i := range all {
		_ = l.values.Set(all[i].Name, all[i].Default) // a plain Set never fails
	}
	return l
}

// envPrefix is what the names of all variables begin with.
const envPrefix = "NIMBUS_"

// testPrefix is what the names of variables for tests begin with.
const testPrefix = envPrefix + "TEST_"

// clientVariables are read by the command line's other verbs.
func clientVariables() []string {
	return []string{"NIMBUS_SERVER", "NIMBUS_API_KEY", "NIMBUS_NAMESPACE", "NIMBUS_OUTPUT"}
}

func environLayer(all []setting, environ []string) layer {
	l := layer{values: koanf.New("."), origin: envName}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, envPrefix) || strings.HasPrefix(name, testPrefix) ||
			slices.Contains(clientVariables(), name) {
			continue
		}
		i := slices.IndexFunc(all, func(s setting) bool { return s.Env == name })
		if i < 0 {
			l.problems = append(l.problems, fmt.Errorf("%s: unknown variable, did you mean %s?", name, nearestEnv(all, name)))
			continue
		}
		_ = l.values.Set(all[i].Name, value) // a plain Set never fails
	}
	return l
}

func flagLayer(flags map[string]any) layer {
	l := layer{values: koanf.New("."), origin: func(string) string { return "flag" }}
	for key, value := range flags {
		_ = l.values.Set(key, value) // a plain Set never fails
	}
	return l
}

// maxFileBytes bounds a configuration file.
const maxFileBytes = 1 << 20

func fileLayer(path string) layer {
	lines := make(map[string]int)
	l := layer{values: koanf.New("."), origin: func(key string) string {
		if line, ok := lines[key]; ok {
			return path + ":" + strconv.Itoa(line)
		}
		return path
	}}
	content, err := readFile(path)
	if err != nil {
		l.problems = append(l.problems, fmt.Errorf("read the configuration: %w", err))
		return l
	}
	var values tree
	file, err := parser.ParseBytes(content, 0)
	switch {
	case err == nil && len(file.Docs) > 1:
		err = errors.New("there is more than one document")
	case err == nil && len(file.Docs) == 1 && file.Docs[0].Body != nil:
		values, err = readDocument(file.Docs[0].Body, lines)
	}
	if err == nil {
		err = l.values.Load(values, nil)
	}
	if err != nil {
		l.problems = append(l.problems, fileError(path, err))
	}
	return l
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err == nil && len(content) > maxFileBytes {
		err = fmt.Errorf("%s: larger than %d bytes", path, maxFileBytes)
	}
	return bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")), err
}

func readDocument(body ast.Node, lines map[string]int) (tree, error) {
	if _, ok := body.(*ast.NullNode); ok {
		return nil, nil
	}
	if _, ok := body.(ast.MapNode); !ok {
		return nil, errors.New("must be keys and values")
	}
	var values map[string]any
	if err := yaml.NodeToValue(body, &values); err != nil {
		return nil, err
	}
	noteLines(body, "", lines)
	return values, nil
}

// noteLines remembers the line of every key.
func noteLines(node ast.Node, prefix string, lines map[string]int) {
	parent, ok := node.(ast.MapNode)
	if !ok {
		return
	}
	for entries := parent.MapRange(); entries.Next(); {
		key := entries.Key()
		name := prefix + key.String()
		lines[name] = key.GetToken().Position.Line
		noteLines(entries.Value(), name+".", lines)
	}
}

// fileError says where in the file the error is.
func fileError(path string, err error) error {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		return fmt.Errorf("%s:%d: %s", path, at.GetToken().Position.Line, at.GetMessage())
	}
	return fmt.Errorf("%s: %w", path, err)
}

// tree is a koanf.Provider of what is in memory.
type tree map[string]any

// Read implements koanf.Provider.
func (t tree) Read() (map[string]any, error) { return t, nil }

// ReadBytes implements koanf.Provider.
func (t tree) ReadBytes() ([]byte, error) { return nil, errors.New("there are no bytes to read") }
