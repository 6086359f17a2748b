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

// Collect removes the notes of what was made whose packages are no longer stored.
func (c *Compiler) Collect(ctx context.Context) error {
	entries, err := os.ReadDir(c.place("made"))
	if err != nil {
		return fmt.Errorf("collect the notes of builds: %w", err)
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := c.collectNote(ctx, e.Name()); err != nil {
			return fmt.Errorf("collect the note of build %s: %w", e.Name(), err)
		}
	}
	return nil
}

// collectNote removes a note of nothing, unless somebody is about to write it anew.
func (c *Compiler) collectNote(ctx context.Context, key string) error {
	leave, busy := c.keys.try(key)
	if busy != nil {
		return nil
	}
	defer leave()
	text, err := os.ReadFile(c.place("made", key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var m Compiled
	if err := json.Unmarshal(text, &m); err == nil {
		stored, _, err := c.packages.blobs.Open(ctx, m.Package.Hash)
		if err == nil {
			return stored.Close()
		}
		if nimbus.CodeOf(err) != nimbus.CodeNotFound {
			return err
		}
	}
	return os.Remove(c.place("made", key))
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
