//go:build linux

package agent

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"nimbus/internal/agent/buildmsg"
)

// noModules is the module cache of builds that were given none: nothing is in it, and nothing can be fetched.
const noModules = "modules"

// toolchain runs the go command for one request.
type toolchain struct {
	builder *builder
	request *buildmsg.Request
	cache   string // GOCACHE
	work    string // a directory of its own
}

// run runs the go command with args in dir. A *compileError is the source's fault.
func (t *toolchain) run(ctx context.Context, dir string, args []string) error {
	b := t.builder
	said := &transcript{log: b.config.Stderr}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	outlet, out, err := newOutlet(said.take)
	if err != nil {
		return err
	}
	argv := append([]string{t.request.Go}, args...)
	p, err := b.children.start(t.request.Go, argv, t.environment(), dir, null, out, out)
	_ = out.Close()
	if err != nil {
		outlet.close()
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		b.children.kill(p)
		<-p.done
	}
	outlet.close()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("build: %w", ctx.Err())
	case p.taken():
		return fmt.Errorf("go %s: %s", args[0], p.end())
	case !p.status.Exited() || p.status.ExitStatus() != 0:
		return &compileError{t.message(said.text(), p)}
	}
	return nil
}

// environment is all of the go command's. Nothing of the source's may change how it is built, and nothing is
// fetched.
func (t *toolchain) environment() []string {
	modules := t.builder.path(t.request.ModCache)
	if modules == "" {
		modules = filepath.Join(t.work, noModules)
	}
	return []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + t.work, "TMPDIR=" + t.work, "GOTMPDIR=" + t.work,
		"GOOS=" + t.request.GOOS, "GOARCH=" + t.request.GOARCH, "CGO_ENABLED=0",
		"GOPATH=" + filepath.Join(t.work, "go"), "GOMODCACHE=" + modules, "GOCACHE=" + t.cache,
		"GOENV=off", "GOFLAGS=", "GOPROXY=off", "GOSUMDB=off", "GOTOOLCHAIN=local", "GOWORK=off", "GO111MODULE=on",
	}
}

// message is what the compiler said, with paths as the user knows them.
func (t *toolchain) message(said string, p *process) string {
	var lines []string
	for line := range strings.Lines(said) {
		if line = strings.TrimRight(line, "\r\n"); !strings.HasPrefix(line, "# ") { // the package's name
			lines = append(lines, strings.TrimPrefix(line, "./"))
		}
	}
	dir := t.builder.path(t.request.Dir)
	if dir == "" {
		dir = t.builder.codeDir
	}
	text := strings.TrimSpace(strings.NewReplacer(dir+"/", "", dir, ".").Replace(strings.Join(lines, "\n")))
	if text == "" {
		return "go build: " + p.end()
	}
	return text
}

// transcript is the beginning of what a program said, all of which goes to the log as well.
type transcript struct {
	log *os.File

	mu   sync.Mutex
	said bytes.Buffer
}

func (t *transcript) take(p []byte) {
	_, _ = t.log.Write(p) // the platform reads it, or is gone
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := maxCompilerOutput - t.said.Len(); room > 0 {
		t.said.Write(p[:min(room, len(p))])
	}
}

func (t *transcript) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ToValidUTF8(t.said.String(), "\uFFFD")
}
