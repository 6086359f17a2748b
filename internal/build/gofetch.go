package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"

	"nimbus"
	"nimbus/internal/blob"
)

// maxModules bounds what the vendored modules of all builds may take together, before the least used go.
const maxModules = 2 * nimbus.GiB

// maxList bounds what go mod download tells about what it has downloaded.
const maxList = 16 * nimbus.MiB

// fetch is what a module needs from elsewhere.
type fetch struct {
	program goProgram
	file    *modfile.File // go.mod
	text    []byte        // and as it is written
	imports imports
	local   bool // some modules are replaced by directories of the package
}

// fetched is a directory with what fetching a module's needs came to: go.mod, go.sum and vendor, or of vendor
// nothing, when none of the required modules is imported.
type fetched struct {
	dir  string
	file *modfile.File
}

// modules returns what the module needs: from the last time that the same was asked for, else fetched now.
func (j *job) modules(ctx context.Context, f fetch) (fetched, error) {
	key, err := j.fetchKey(f)
	if err != nil {
		return fetched{}, err
	}
	leave, err := j.keys.enter(ctx, "modules/"+key)
	if err != nil {
		return fetched{}, err
	}
	defer leave()
	result := fetched{dir: j.place("modules", key), file: f.file}
	now := time.Now()
	if err := os.Chtimes(result.dir, now, now); !errors.Is(err, fs.ErrNotExist) {
		return result, err
	}
	tmp := j.path("modules")
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return fetched{}, fmt.Errorf("fetch modules: %w", blob.DiskError(err))
	}
	if err := j.fetch(ctx, f, tmp); err != nil {
		return fetched{}, err
	}
	if err := os.Rename(tmp, result.dir); err != nil {
		return fetched{}, fmt.Errorf("keep modules: %w", err)
	}
	return result, trimDirs(j.place("modules"), maxModules, key)
}

// fetchKey names all that decides what is fetched.
func (j *job) fetchKey(f fetch) (string, error) {
	parts := []string{j.plan.goTool.Version, f.program.root, string(f.text)}
	sums, err := readWhole(j.source, path.Join(f.program.root, "go.sum"), maxGoSum)
	if err != nil && !isAbsent(err) {
		return "", err
	}
	parts = append(parts, string(sums), hex.EncodeToString(f.imports.heads.Sum(nil)))
	if f.local {
		parts = append(parts, j.plan.Source.Hash)
	}
	text, err := json.Marshal(parts)
	if err != nil {
		return "", fmt.Errorf("fetch modules: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// into puts what was fetched into a copy of the module.
func (f fetched) into(dir string) (mod string, err error) {
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(f.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = writeNew(filepath.Join(dir, name), text)
		}
		if err != nil {
			return "", err
		}
	}
	vendor := filepath.Join(dir, "vendor")
	if err := removeTree(vendor); err != nil { // without modules.txt it was none
		return "", err
	}
	err = linkTree(filepath.Join(f.dir, "vendor"), vendor)
	if !errors.Is(err, fs.ErrNotExist) {
		return modVendor, err
	}
	// Nothing that is required is imported, so that nothing has to be known about it.
	f.file.SetRequire(nil)
	f.file.Cleanup()
	text, err := f.file.Format()
	if err != nil {
		return "", fmt.Errorf("write go.mod: %w", err)
	}
	return modReadOnly, writeNew(filepath.Join(dir, "go.mod"), text)
}

// fetch has the go command vendor the module's needs in a stage, and copies the outcome to dir.
func (j *job) fetch(ctx context.Context, f fetch, dir string) (err error) {
	s, err := newStage(j.cfg.Dir)
	if err != nil {
		return fmt.Errorf("fetch modules: %w", blob.DiskError(err))
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	if err := s.fill(j.source, f.local); err != nil {
		return fmt.Errorf("fetch modules: %w", blob.DiskError(err))
	}
	j.progress("fetching Go modules")
	module := path.Join(stageSource, f.program.root)
	if err := j.vendor(ctx, s, f, module); err != nil {
		return err
	}
	for _, name := range []string{"go.mod", "go.sum", "vendor"} {
		if err := s.copyOut(path.Join(module, name), filepath.Join(dir, name)); err != nil && !isAbsent(err) {
			return fmt.Errorf("keep modules: %w", blob.DiskError(err))
		}
	}
	return nil
}

// vendor runs go mod vendor. Sums that the module lacks are added to it first: those of what is downloaded, which
// the go command has verified with the checksum database.
func (j *job) vendor(ctx context.Context, s *stage, f fetch, module string) error {
	proxy, err := j.proxy(ctx, s, module)
	if err != nil {
		return fmt.Errorf("fetch modules: %w", err)
	}
	run := command{argv: []string{j.plan.goTool.Path, "mod", "vendor"}, dir: module,
		env: slices.Concat(j.goEnv(s), []string{"GOPROXY=" + proxy}, j.cfg.FetchEnv), progress: j.progress}
	said, err := s.run(ctx, run)
	if err == nil || !strings.Contains(said, "missing go.sum entry") {
		return j.fetchError(err, said, proxy, f)
	}
	var list bytes.Buffer
	download := run
	download.argv = []string{j.plan.goTool.Path, "mod", "download", "-json"}
	download.stdout = &boundedWriter{w: &list, left: maxList}
	if said, err = s.run(ctx, download); err != nil {
		return j.fetchError(err, said+downloadErrors(list.Bytes()), proxy, f)
	}
	if err := s.addSums(path.Join(module, "go.sum"), list.Bytes()); err != nil {
		return fmt.Errorf("complete go.sum: %w", blob.DiskError(err))
	}
	said, err = s.run(ctx, run)
	return j.fetchError(err, said, proxy, f)
}

// proxy is where modules come from: as configured, else the toolchain's own proxy. Its other source, direct, would
// have strangers' go.mod files name the hosts that are asked.
func (j *job) proxy(ctx context.Context, s *stage, dir string) (string, error) {
	if j.cfg.GoProxy != "" {
		return j.cfg.GoProxy, nil
	}
	var own bytes.Buffer
	said, err := s.run(ctx, command{argv: []string{j.plan.goTool.Path, "env", "GOPROXY"}, dir: dir, env: j.goEnv(s),
		progress: j.progress, stdout: &boundedWriter{w: &own, left: maxList}})
	if err != nil {
		return "", fmt.Errorf("ask the toolchain for its module proxy: %w: %s", err, lastLine(said))
	}
	return proxiesOf(own.String()), nil
}

// proxiesOf returns a GOPROXY list without direct; off when nothing is left.
func proxiesOf(list string) string {
	sources := slices.DeleteFunc(strings.FieldsFunc(strings.TrimSpace(list), func(r rune) bool { return r == ',' || r == '|' }),
		func(source string) bool { return source == "direct" })
	if len(sources) == 0 {
		return "off"
	}
	return strings.Join(sources, ",")
}

// goEnv is the environment of a go command that may use the network, and nothing else of the machine's.
func (j *job) goEnv(s *stage) []string {
	return []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + s.path("home"), "TMPDIR=" + s.path("tmp"),
		"GOPATH=" + s.path("go"), "GOMODCACHE=" + s.path("mod"), "GOCACHE=" + s.path("cache"), "GOFLAGS=-mod=mod -modcacherw",
		"GOSUMDB=" + j.cfg.GoSumDB, "GOVCS=*:off", "GOTOOLCHAIN=local", "GOENV=off", "GOWORK=off", "GOTELEMETRY=off",
		"GO111MODULE=on", "GOMEMLIMIT=1GiB", "CGO_ENABLED=0", "GOOS=" + j.plan.goos, "GOARCH=" + j.plan.goarch}
}

// fetchError tells the module's faults from those of the network.
func (j *job) fetchError(err error, said, proxy string, f fetch) error {
	var code interface{ ExitCode() int }
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errStageFull):
		return fail("the modules are over their bound of %d MB", maxStage/nimbus.MiB)
	case !errors.As(err, &code) || code.ExitCode() < 0:
		return fmt.Errorf("fetch modules: %w", err)
	case unreachable(said):
		return nimbus.WrapError(nimbus.CodeUnavailable, err, "Go modules can't be fetched from %s (build.go_proxy): %s",
			redacted(proxy), lastLine(said))
	}
	return &CompileError{Message: f.imports.locate(said)}
}

// unreachable recognises in what a go command says that it had no answer. It has one exit status for everything.
func unreachable(said string) bool {
	for _, sign := range []string{"dial tcp", "connection refused", "connection reset", "no such host", "i/o timeout", "TLS handshake",
		"network is unreachable", "unexpected EOF", "x509:", "proxyconnect", ": 429 ", ": 500 ", ": 502 ", ": 503 ", ": 504 "} {
		if strings.Contains(said, sign) {
			return true
		}
	}
	return false
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// redacted is a list of proxies without passwords.
func redacted(list string) string {
	items := strings.Split(list, ",")
	for i, item := range items {
		if u, err := url.Parse(item); err == nil {
			items[i] = u.Redacted()
		}
	}
	return strings.Join(items, ",")
}
