package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"nimbus"
	"nimbus/internal/blob"
)

// Cache unpacks packages, once each, into trees that instances share. A tree appears under its name by one
// rename, complete or not at all.
//
//	<dir>/trees/<hash>/   an unpacked package, readable by anyone it is shown to, writable by nobody
//	<dir>/trees/.<…>/     one being made or removed
//	<dir>/trash/          what an earlier process left; removed by Evict
//	<dir>/boot            the boot of the machine that the trees were made in
//
// Trees are not synced to disk. After a power cut they could be torn, so trees of another boot are never
// used: they are unpacked anew from blobs, which are synced and verified.
type Cache struct {
	dir   string
	blobs blob.Store

	mu      sync.Mutex
	entries map[string]*cached // by hash
}

// cached is what this process knows of one tree.
type cached struct {
	ready   bool
	work    *work // making or removing the tree; nil = nobody does
	lastUse time.Time
}

// work is one making or removing of a tree.
type work struct {
	done chan struct{}
	err  error // valid once done is closed
}

// errRemoved ends the work of a removal; whoever waited for it makes the tree anew.
var errRemoved = errors.New("the tree was removed")

// NewCache returns the cache in dir, which it makes if it is new.
func NewCache(dir string, blobs blob.Store) (*Cache, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open code cache: %w", err)
	}
	c := &Cache{dir: abs, blobs: blobs, entries: make(map[string]*cached)}
	if err := c.open(); err != nil {
		return nil, fmt.Errorf("open code cache: %w", blob.DiskError(err))
	}
	return c, nil
}

// Dir returns the directory of the unpacked package, unpacking it if need be. The directory stays until
// Evict is called with a later moment. After an error nothing is cached.
func (c *Cache) Dir(ctx context.Context, pkg nimbus.Package) (string, error) {
	for {
		w, mine := c.use(pkg.Hash)
		if w == nil {
			return c.path(pkg.Hash), nil
		}
		if mine {
			w.err = c.make(ctx, pkg.Hash)
			c.settle(pkg.Hash, w)
		}
		select {
		case <-w.done:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		// Another caller's impatience, or a removal, is no reason to fail: try again.
		if w.err != nil && (mine || !isContextError(w.err) && !errors.Is(w.err, errRemoved)) {
			return "", fmt.Errorf("unpack package %s: %w", pkg.Hash, w.err)
		}
	}
}

// Evict removes trees that keep does not name and that nobody has asked for since the moment.
func (c *Cache) Evict(ctx context.Context, keep map[string]struct{}, before time.Time) error {
	if err := removeTree(c.trash()); err != nil {
		return fmt.Errorf("evict trees: %w", err)
	}
	entries, err := os.ReadDir(c.trees())
	if err != nil {
		return fmt.Errorf("evict trees: %w", err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		hash := e.Name()
		if _, kept := keep[hash]; kept || strings.HasPrefix(hash, ".") {
			continue
		}
		w := c.claim(hash, before)
		if w == nil {
			continue
		}
		err := c.remove(hash)
		c.settle(hash, w)
		if err != nil {
			return fmt.Errorf("evict tree %s: %w", hash, err)
		}
	}
	c.forget(before)
	return nil
}

// use notes that the tree is wanted. It returns nil when it is ready, else the work to wait for; mine says
// that it is the caller's to do.
func (c *Cache) use(hash string) (w *work, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[hash]
	if e == nil {
		e = &cached{}
		c.entries[hash] = e
	}
	e.lastUse = time.Now()
	if e.ready || e.work != nil {
		return e.work, false
	}
	e.work = &work{done: make(chan struct{})}
	return e.work, true
}

// claim returns the work of removing a tree, or nil when it is in use.
func (c *Cache) claim(hash string, before time.Time) *work {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[hash]
	if e == nil { // an earlier process made it
		e = &cached{}
		c.entries[hash] = e
	}
	if e.work != nil || e.lastUse.After(before) {
		return nil
	}
	e.ready = false
	e.work = &work{done: make(chan struct{}), err: errRemoved}
	return e.work
}

// settle ends the work on a tree.
func (c *Cache) settle(hash string, w *work) {
	c.mu.Lock()
	e := c.entries[hash]
	e.work, e.ready = nil, w.err == nil
	c.mu.Unlock()
	close(w.done)
}

// forget drops what is known of trees that are gone.
func (c *Cache) forget(before time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for hash, e := range c.entries {
		if !e.ready && e.work == nil && e.lastUse.Before(before) {
			delete(c.entries, hash)
		}
	}
}

// lastUse returns when this process last wanted the tree; zero = never, as far as it knows.
func (c *Cache) lastUse(hash string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[hash]; e != nil {
		return e.lastUse
	}
	return time.Time{}
}
