package wasm

import (
	"bytes"
	"io/fs"
	"path"
	"strconv"
	"time"

	"nimbus/internal/wire"
)

// Where a module finds its call's context. No such directory is on the instance's disk.
const (
	contextDir  = "/run/nimbus"
	contextName = "context.json"
)

// environment is what a module finds as its own: the user's settings, and those of the platform, which win.
func environment(msg *wire.InitMsg) map[string]string {
	env := map[string]string{"HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8"}
	for name, value := range msg.Env {
		env[name] = value
	}
	for name, value := range map[string]string{
		wire.ContextFile:              path.Join(contextDir, contextName),
		"NIMBUS_CODE_DIR":             msg.CodeDir,
		"NIMBUS_FUNCTION_ID":          msg.FunctionID,
		"NIMBUS_FUNCTION_MEMORY_SIZE": strconv.FormatInt(msg.MemoryMB, 10),
		"NIMBUS_FUNCTION_NAME":        msg.FunctionName,
		"NIMBUS_FUNCTION_VERSION":     msg.FunctionVersion,
		"NIMBUS_HANDLER":              msg.Handler,
		"NIMBUS_NAMESPACE":            msg.Namespace,
	} {
		env[name] = value
	}
	return env
}

// contextFS is a directory that holds the context. What opens that ahead of a call waits for one. It implements fs.FS.
type contextFS struct{ of *Function }

// Open implements fs.FS.
func (c contextFS) Open(name string) (fs.File, error) {
	switch name {
	case ".":
		return &contextFile{dir: true}, nil
	case contextName:
		c.of.wait()
		meta := &c.of.called
		if meta.RequestID == "" {
			break // a reactor that is being initialised
		}
		content, err := c.of.settings.Context.Of(meta)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return &contextFile{Reader: *bytes.NewReader(content)}, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// contextFile is the file, or the directory it is in. It implements fs.File and fs.FileInfo.
type contextFile struct {
	bytes.Reader
	dir bool
}

// Close implements fs.File.
func (*contextFile) Close() error { return nil }

// Stat implements fs.File.
func (f *contextFile) Stat() (fs.FileInfo, error) { return contextInfo{f}, nil }

type contextInfo struct{ of *contextFile }

func (i contextInfo) Name() string {
	if i.of.dir {
		return path.Base(contextDir)
	}
	return contextName
}

func (i contextInfo) Mode() fs.FileMode {
	if i.of.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

func (i contextInfo) Size() int64      { return i.of.Reader.Size() }
func (contextInfo) ModTime() time.Time { return time.Time{} }
func (i contextInfo) IsDir() bool      { return i.of.dir }
func (contextInfo) Sys() any           { return nil }
