package build

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"syscall"

	"nimbus"
)

// MaxHandler bounds the bytes of a handler's text.
const MaxHandler = 256

// handlerForm is module.function; the module is dotted or slashed.
var handlerForm = regexp.MustCompile(`^[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)*\.[A-Za-z_][A-Za-z0-9_]*$`)

// ValidHandler reports whether text has the form of a handler: "handler.handle", "src/app.main".
func ValidHandler(text string) bool {
	return len(text) <= MaxHandler && handlerForm.MatchString(text)
}

// HandlerFile returns the file that the module of a valid handler is written in: handler.py.
func HandlerFile(handler string) string { return modulePath(handler) + ".py" }

// FindHandler looks for the file of a valid handler in a tree: handler.py or handler/__init__.py. When it is
// not there the error is CodeInvalid, names the field "handler" and what there is.
func FindHandler(tree fs.FS, handler string) error {
	module := modulePath(handler)
	candidates := []string{module + ".py", path.Join(module, "__init__.py")}
	for _, file := range candidates {
		st, err := fs.Stat(tree, file)
		if err == nil && !st.IsDir() {
			return nil
		}
		if err != nil && !isAbsent(err) {
			return fmt.Errorf("look for handler: %w", err)
		}
	}
	there, err := describe(tree)
	if err != nil {
		return err
	}
	var v nimbus.Invalid
	v.Add("handler", "%q needs the file %s or %s; the package has %s", handler, candidates[0], candidates[1], there)
	return v.Err()
}

// isAbsent reports whether err says that there can be no such file: its name may be longer than the disk
// allows, or lead through another file.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG)
}

func modulePath(handler string) string {
	return strings.ReplaceAll(handler[:strings.LastIndexByte(handler, '.')], ".", "/")
}

// describe lists some of what a user could have meant: the Python files, else whatever is at the top.
func describe(tree fs.FS) (string, error) {
	const most = 10
	var found, top []string
	more := false
	err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name != "." && !strings.Contains(name, "/") {
			top = append(top, entryName(name, e))
		}
		if strings.HasSuffix(name, ".py") && !e.IsDir() {
			if len(found) == most {
				more = true
				return fs.SkipAll
			}
			found = append(found, name)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("list the package: %w", err)
	}
	if len(found) == 0 {
		found, more = top[:min(most, len(top))], len(top) > most
	}
	if more {
		found = append(found, "…")
	}
	return strings.Join(found, ", "), nil
}

func entryName(name string, e fs.DirEntry) string {
	if e.IsDir() {
		return name + "/"
	}
	return name
}
