package config

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What is shown of a setting is what one would write: read again, it is the same setting.
func TestEverySettingShowsWhatItTakes(t *testing.T) {
	t.Parallel()
	for _, s := range settings() {
		values := []any{s.Default}
		if !strings.HasSuffix(s.Name, ".driver") && s.Name != "driver.default" { // one choice only
			values = append(values, another(t, s))
		}
		if s.Name == "pool.runtimes" {
			values = append(values, "[{runtime: 'a, b', max_total: 9, memory_mb: 512, vcpus: 1.5}, {runtime: c}]")
		}
		for _, value := range values {
			var first, second Config
			if err := s.set(&first, value); err != nil {
				t.Fatalf("%s: %v", s.Name, err)
			}
			if err := s.set(&second, s.show(&first)); err != nil {
				t.Errorf("%s shows what it does not take: %v", s.Name, err)
			}
			if diff := cmp.Diff(first, second); diff != "" {
				t.Errorf("%s shows something else than it is (-is +shown):\n%s", s.Name, diff)
			}
		}
	}
}

func TestDefaultsAreShownAsDocumented(t *testing.T) {
	t.Parallel()
	cfg, err := Load(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range cfg.Values() {
		if v.Value != v.Default {
			t.Errorf("%s is shown as %q, and documented as %q", v.Name, v.Value, v.Default)
		}
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	cfg := Config{DataDir: "swordfish"}
	s := newSetting("x", "", text("", func(c *Config) *string { return &c.DataDir }), "").secret()
	if got := s.shown(&cfg); got != hidden {
		t.Errorf("a secret is shown as %q", got)
	}
	if got := s.shown(&Config{}); got != "" {
		t.Errorf("that there is none is shown as %q", got)
	}
}

func TestPasswordsAreNotShown(t *testing.T) {
	t.Parallel()
	cfg, err := Load(Sources{File: writeFile(t, "build: {go_proxy: 'https://ada:swordfish@one.example/go,https://two.example/a%2fb'}\n")})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range cfg.Values() {
		if want := "https://ada:xxxxx@one.example/go,https://two.example/a%2fb"; v.Name == "build.go_proxy" && v.Value != want {
			t.Errorf("shown is %q, want %q", v.Value, want)
		}
	}
	if !strings.Contains(cfg.Build.GoProxy, "swordfish") {
		t.Errorf("it is set to %q", cfg.Build.GoProxy)
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	running, err := Load(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Reload(running, Sources{File: writeFile(t, "log: {level: debug, format: json}\npool: {idle_timeout: 120s, max_invocations: 5}\n"+
		"scheduler: {default_timeout: 1m}\nserver: {listen: 127.0.0.1:1}\n")})
	if err != nil {
		t.Fatal(err)
	}
	want := Reloaded{Config: running,
		Changed: []Change{{"log.level", "info", "debug"}, {"pool.max_invocations", "1000", "5"}, {"scheduler.default_timeout", "30s", "1m"}},
		Pending: []Change{{"server.listen", "127.0.0.1:8080", "127.0.0.1:1"}, {"log.format", "text", "json"}},
	}
	want.Config.Log.Level = slog.LevelDebug
	want.Config.Pool.MaxInvocations = 5
	want.Config.Limits.Timeout = time.Minute
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAReloadOfNothingNewChangesNothing(t *testing.T) {
	t.Parallel()
	sources := Sources{Environ: []string{"NIMBUS_POOL_RUNTIMES=[{runtime: p, vcpus: 2}]"}}
	running, err := Load(sources)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Reload(running, sources)
	if diff := cmp.Diff(Reloaded{Config: running}, got); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
}

func TestAReloadTellsEveryProblem(t *testing.T) {
	t.Parallel()
	running, err := Load(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		sources Sources
		want    []string
	}{
		"wrong by itself": {Sources{Environ: []string{"NIMBUS_LOG_LEVEL=loud", "NIMBUS_POOL_IDLE_TIMEOUT=0"}},
			[]string{"log.level", "pool.idle_timeout"}},
		"wrong with what takes a restart": {
			Sources{Environ: []string{"NIMBUS_LIMITS_TIMEOUT_MAX=2h", "NIMBUS_SCHEDULER_DEFAULT_TIMEOUT=1h"}},
			[]string{"with what still runs", "scheduler.default_timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Reload(running, c.sources)
			if diff := cmp.Diff(Reloaded{}, got); err == nil || diff != "" {
				t.Fatalf("%v, %s", err, diff)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v does not name %s", err, want)
				}
			}
		})
	}
}
