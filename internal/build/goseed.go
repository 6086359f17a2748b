package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"nimbus"
	"nimbus/internal/agent/buildmsg"
	"nimbus/internal/blob"
)

// maxSeed bounds the compiled standard library.
const maxSeed = nimbus.GiB

// seedPackages are those of the standard library that functions are likely to use; with them come those that they
// import.
func seedPackages() []string {
	return []string{"archive/zip", "bufio", "compress/gzip", "compress/zlib", "container/heap", "container/list",
		"crypto/aes", "crypto/ed25519", "crypto/hmac", "crypto/md5", "crypto/sha1", "crypto/sha256", "crypto/sha512",
		"crypto/tls", "database/sql", "embed", "encoding/base32", "encoding/base64", "encoding/csv", "encoding/gob",
		"encoding/hex", "encoding/json", "encoding/xml", "errors", "expvar", "flag", "fmt", "hash/crc32", "hash/fnv",
		"html/template", "image/gif", "image/jpeg", "image/png", "iter", "log", "log/slog", "maps", "math/big", "math/cmplx",
		"math/rand", "math/rand/v2", "mime/multipart", "net/http", "net/http/httputil", "net/mail", "net/netip", "net/rpc",
		"net/smtp", "net/url", "os", "os/exec", "os/signal", "path/filepath", "regexp", "runtime/debug", "slices", "sort",
		"strconv", "strings", "sync", "sync/atomic", "text/tabwriter", "text/template", "time", "unicode/utf8", "unique"}
}

// seed returns the build cache of the standard library for the plan's toolchain and target, which it makes when
// there is none. Only requests of the platform's own fill it; builds see it read-only.
func (j *job) seed(ctx context.Context) (string, error) {
	target := "-" + j.plan.goos + "-" + j.plan.goarch
	name := "go" + j.plan.goTool.Version + target
	leave, err := j.keys.enter(ctx, name)
	if err != nil {
		return "", err
	}
	defer leave()
	dir := j.place("go", name)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	j.progress("preparing go" + j.plan.goTool.Version + " (once)")
	empty, tar, tmp := j.path("empty"), j.path("seed.tar"), j.path("seed")
	if err := errors.Join(os.Mkdir(empty, 0o755), os.Mkdir(tmp, 0o755)); err != nil {
		return "", fmt.Errorf("prepare %s: %w", name, blob.DiskError(err))
	}
	err = j.askGo(ctx, empty, buildmsg.Request{Go: j.plan.goTool.Path, GOOS: j.plan.goos, GOARCH: j.plan.goarch, Seed: seedPackages()}, tar)
	var source *CompileError
	if errors.As(err, &source) {
		return "", fmt.Errorf("prepare %s: %s", name, source.Message) // the user's source has no part in it
	}
	if err == nil {
		err = untar(tar, tmp)
	}
	if err == nil {
		err = j.dropSeeds(target)
	}
	if err == nil {
		err = os.Rename(tmp, dir)
	}
	if err != nil {
		return "", fmt.Errorf("prepare %s: %w", name, err)
	}
	return dir, os.Remove(tar)
}

// dropSeeds removes those of toolchains that were on this machine before.
func (j *job) dropSeeds(target string) error {
	entries, err := os.ReadDir(j.place("go"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), target) {
			if err := removeTree(j.place("go", e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
