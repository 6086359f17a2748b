package build

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// trimDirs removes the directories below dir that were used the longest ago, until what they hold is within the
// bound; the one named keep stays.
func trimDirs(dir string, bound int64, keep string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("trim %s: %w", dir, err)
	}
	var infos []fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return fmt.Errorf("trim %s: %w", dir, err)
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	var total int64
	for _, info := range infos {
		path := filepath.Join(dir, info.Name())
		if total += dirSize(path); total <= bound || info.Name() == keep {
			continue
		}
		if err := removeTree(path); err != nil {
			return fmt.Errorf("trim %s: %w", dir, err)
		}
	}
	return nil
}

// dirSize returns the bytes of the files below dir, as far as they can be seen: what is being written to may
// change underneath.
func dirSize(dir string) int64 {
	var total int64
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
