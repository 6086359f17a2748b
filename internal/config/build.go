package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"nimbus"
)

// Build says how source is compiled.
type Build struct {
	Timeout     time.Duration
	Memory      int64 // bytes, of the instance that compiles
	Concurrency int
	GoProxy     string
	GoSumDB     string
}

func buildSettings() []setting {
	return []setting{
		newSetting("build.timeout", "5m", duration(time.Second, day, func(c *Config) *time.Duration { return &c.Build.Timeout }),
			"How long one build may take, the fetching of modules included."),
		newSetting("build.memory_mb", "2048", size(nimbus.MiB, 256, 1<<20, func(c *Config) *int64 { return &c.Build.Memory }),
			"Memory of the instance that compiles, its files included."),
		newSetting("build.concurrency", "1", count(1, 64, func(c *Config) *int { return &c.Build.Concurrency }),
			"Programs compiled at once; others wait their turn. Beside them WebAssembly modules are, one at a time."),
		newSetting("build.go_proxy", "", proxies(func(c *Config) *string { return &c.Build.GoProxy }),
			"Where Go modules are fetched from, before their program is compiled without a network. "+
				"Empty = the toolchain's own proxy, and never a version control system. HTTPS_PROXY and SSL_CERT_FILE of the server's environment are obeyed."),
		newSetting("build.go_sumdb", "", text("a name, or off", func(c *Config) *string { return &c.Build.GoSumDB }),
			"The checksum database that verifies modules whose sums go.sum lacks. Empty = the toolchain's own; off where a private proxy has none."),
	}
}

// proxies is a list of module proxies, never version control.
func proxies(field func(*Config) *string) kind {
	const bound = "URLs with commas between them, or off"
	return kind{bound, func(c *Config, raw any) error {
		s, ok := raw.(string)
		if !ok || s != "" && s != "off" && checkProxies(s) != nil {
			return mustBe(bound, raw)
		}
		*field(c) = s
		return nil
	}, func(c *Config) string { return *field(c) }}
}

func checkProxies(list string) error {
	for item := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(item)
		if err != nil {
			return err
		}
		switch {
		case u.Scheme == "file" && u.Path != "", (u.Scheme == "https" || u.Scheme == "http") && u.Host != "":
		default:
			return fmt.Errorf("%q: %w", item, errNoProxy)
		}
	}
	return nil
}

var errNoProxy = errors.New("no URL of a module proxy")
