package build

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// downloaded is what go mod download -json tells of one module.
type downloaded struct {
	Path     string
	Version  string
	Error    string
	Sum      string // of its files
	GoModSum string // of its go.mod
}

// downloads reads the list as far as it goes.
func downloads(list []byte) ([]downloaded, error) {
	var all []downloaded
	for in := json.NewDecoder(bytes.NewReader(list)); ; {
		var d downloaded
		if err := in.Decode(&d); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return all, fmt.Errorf("read what was downloaded: %w", err)
		}
		all = append(all, d)
	}
}

// downloadErrors returns what the list says went wrong, a line each.
func downloadErrors(list []byte) string {
	all, _ := downloads(list) // what comes after a broken line is not missed
	var text strings.Builder
	for _, d := range all {
		if d.Error != "" {
			text.WriteString("\ngo: " + d.Error)
		}
	}
	return text.String()
}

// addSums adds the sums of what was downloaded to a go.sum, which may not be there.
func (s *stage) addSums(name string, list []byte) error {
	all, err := downloads(list)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(s.dir) // what a command made may be a link to anywhere
	if err != nil {
		return err
	}
	defer discard(root)
	text, err := root.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, d := range all {
		for _, line := range []string{d.Path + " " + d.Version + " " + d.Sum + "\n", d.Path + " " + d.Version + "/go.mod " + d.GoModSum + "\n"} {
			if !bytes.Contains(text, []byte(line)) {
				text = append(text, line...)
			}
		}
	}
	if err := root.WriteFile(name, text, 0o644); err != nil {
		return err
	}
	return s.own(name)
}
