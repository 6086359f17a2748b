package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"nimbus"
	"nimbus/internal/blob"
)

// made returns what came of a key before. A note about a package that is gone, collected or lost, is removed:
// it is compiled anew.
func (c *Compiler) made(ctx context.Context, key string) (Compiled, bool) {
	path := c.place("made", key)
	text, err := os.ReadFile(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.cfg.Log.WarnContext(ctx, "the note of a build can't be read", "error", err)
		}
		return Compiled{}, false
	}
	var m Compiled
	if err = json.Unmarshal(text, &m); err == nil {
		_, err = c.packages.cache.Dir(ctx, m.Package)
	}
	switch {
	case err == nil:
		return m, true
	case isContextError(err):
		return Compiled{}, false // what follows will say so
	case nimbus.CodeOf(err) != nimbus.CodeNotFound:
		c.cfg.Log.WarnContext(ctx, "a package is compiled again", "error", err)
	}
	if err := os.Remove(path); err != nil {
		c.cfg.Log.WarnContext(ctx, "the note of a build can't be removed", "error", err)
	}
	return Compiled{}, false
}

// remember notes what came of a key, whole or not at all.
func (c *Compiler) remember(key string, m Compiled) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("note a build: %w", err)
	}
	tmp := c.place("work", key)
	if err := os.WriteFile(tmp, text, 0o600); err != nil {
		return fmt.Errorf("note a build: %w", blob.DiskError(err))
	}
	if err := os.Rename(tmp, c.place("made", key)); err != nil {
		return fmt.Errorf("note a build: %w", blob.DiskError(err))
	}
	return nil
}
