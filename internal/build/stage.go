package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"nimbus"
)

const (
	// maxStage bounds the disk that fetching takes.
	maxStage      = 2 * nimbus.GiB
	stageSource   = "source"
	telemetry     = "home/.config/go/telemetry"
	measureEvery  = 500 * time.Millisecond
	maxSaid       = 64 << 10
	pipesMayTake  = 5 * time.Second // after the end of a command whose children hold its pipes
	stageTemplate = "nimbus-stage-"
)

var errStageFull = errors.New("over its bound")

// stage is a directory for a command that has a network, and in return sees none of the installation: it belongs
// to a user without rights where the server has such to give, and lies where that user can reach it.
type stage struct{ dir string }

// stagePrefix names the stages of the installation that has its compiler in dir.
func stagePrefix(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return stageTemplate + hex.EncodeToString(sum[:6]) + "-"
}

// sweepStages removes what a killed process left.
func sweepStages(dir string) error {
	left, err := filepath.Glob(filepath.Join(os.TempDir(), stagePrefix(dir)+"*"))
	for _, old := range left {
		err = errors.Join(err, removeTree(old))
	}
	return err
}

func newStage(dir string) (*stage, error) {
	tmp, err := os.MkdirTemp("", stagePrefix(dir))
	if err != nil {
		return nil, err
	}
	s := &stage{dir: tmp}
	err = s.own(".")
	for _, sub := range []string{"home", "tmp", stageSource} {
		err = errors.Join(err, s.mkdir(sub))
	}
	// A go command otherwise leaves a process behind, which writes here when everything is over.
	err = errors.Join(err, s.mkdir(telemetry), os.WriteFile(s.path(telemetry+"/mode"), []byte("off"), 0o644))
	if err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }
func (s *stage) remove() error           { return removeTree(s.dir) }

func (s *stage) mkdir(name string) error {
	if err := os.MkdirAll(s.path(name), 0o755); err != nil {
		return err
	}
	return s.own(name)
}

// own gives a file to the user that commands run as.
func (s *stage) own(name string) error {
	if id := stageUser(); id > 0 {
		return os.Lchown(s.path(name), id, id)
	}
	return nil
}

// fill copies the Go files of a tree, and all others too where everything is wanted. Links become what they lead
// to.
func (s *stage) fill(tree fs.FS, everything bool) error {
	return fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if e.IsDir() {
			return s.mkdir(path.Join(stageSource, name))
		}
		if strings.HasSuffix(base, "_test.go") || !everything && !isGoSource(base) || strings.HasPrefix(base, "go.work") {
			return nil
		}
		if there, err := isFile(tree, name); !there || err != nil {
			return err
		}
		f, err := tree.Open(name)
		if err != nil {
			return err
		}
		defer discard(f)
		name = path.Join(stageSource, name)
		if err := writeFile(s.path(name), f, 0o644); err != nil {
			return err
		}
		return s.own(name)
	})
}

// copyOut copies what a command has made: files and directories, nothing else, and none from outside.
func (s *stage) copyOut(name, to string) error {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	defer discard(root)
	return fs.WalkDir(root.FS(), name, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		place := filepath.Join(to, filepath.FromSlash(strings.TrimPrefix(file, name)))
		switch {
		case e.IsDir():
			return os.MkdirAll(place, 0o755)
		case !e.Type().IsRegular():
			return fmt.Errorf("%s is neither file nor directory", file)
		}
		f, err := root.Open(file)
		if err != nil {
			return err
		}
		defer discard(f)
		return writeFile(place, f, sharedFile)
	})
}

// command is what runs in a stage.
type command struct {
	argv     []string
	dir      string // below the stage
	env      []string
	progress func(line string)
	stdout   io.Writer // nil = it is said, like the rest
}

// run runs a command and returns what it said, with paths as the user knows them. Over its share of the disk it is
// ended.
func (s *stage) run(ctx context.Context, c command) (said string, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	measured := make(chan struct{})
	go func() {
		defer close(measured)
		s.measure(ctx, stop)
	}()
	var all tail
	lines := &lineWriter{emit: c.progress}
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = s.path(c.dir), append(c.env, "PWD="+s.path(c.dir)), pipesMayTake
	cmd.Stderr = io.MultiWriter(&all, lines)
	if cmd.Stdout = c.stdout; c.stdout == nil {
		cmd.Stdout = cmd.Stderr
	}
	err = runAlone(cmd)
	lines.end()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	stop(nil)
	<-measured
	return strings.ReplaceAll(strings.TrimSpace(string(all)), s.path(stageSource)+"/", ""), err
}

// measure ends the command when the stage has grown too large.
func (s *stage) measure(ctx context.Context, stop context.CancelCauseFunc) {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if dirSize(s.dir) > maxStage {
				stop(errStageFull)
			}
		}
	}
}

// tail keeps the last of what is written.
type tail []byte

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	if over := len(*t) - maxSaid; over > 0 {
		*t = append((*t)[:0], (*t)[over:]...)
	}
	return len(p), nil
}
