package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nimbus"
	"nimbus/internal/obs"
)

func writeFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nimbus.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	got, err := Load(Sources{Environ: []string{
		"PATH=/bin", "NIMBUS_SERVER=http://elsewhere", "NIMBUS_API_KEY=k", "NIMBUS_NAMESPACE=n", "NIMBUS_OUTPUT=json",
		"NIMBUS_TEST_REQUIRE=root",
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Server:  Server{Listen: "127.0.0.1:8080", ShutdownTimeout: 30 * time.Second},
		DataDir: "./data",
		Log:     Log{Level: slog.LevelInfo, Format: obs.FormatText},
		Store:   Store{Driver: "sqlite"},
		Driver:  Driver{Default: "sandbox"},
		Pool: Pool{HealthCheckInterval: 10 * time.Second, MaxVMAge: time.Hour, MaxInvocations: 1000,
			IdleTimeout: 2 * time.Minute, FreezeAfter: time.Second, UseSnapshots: true},
		Scheduler: Scheduler{QueueSize: 2048},
		Build:     Build{Timeout: 5 * time.Minute, Memory: 2 << 30, Concurrency: 1},
		Limits:    nimbus.DefaultLimits(),
		Retention: Retention{Records: 7 * 24 * time.Hour, Logs: 72 * time.Hour, LogBytes: 2 << 30, Versions: 10},
		Telemetry: Telemetry{ServiceName: "nimbus", SampleRatio: 1, OTLP: OTLP{Protocol: "http/protobuf"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	got, err := Load(Sources{
		File: writeFile(t, `
# what a user may write
server:
  listen: 127.0.0.1:1
  shutdown_timeout: 1s
log: {level: warn}
auth:
pool:
  idle_timeout: 3m
  runtimes:
    - {runtime: python3.11, min_warm: 1, target_warm: 3, max_total: 4}
limits:
  event_kb: 100
  cpu_max_milli: 2000
retention:
  records: 14d
`),
		Environ: []string{"NIMBUS_SERVER_SHUTDOWN_TIMEOUT=2s", "NIMBUS_LOG_LEVEL=error", "NIMBUS_LIMITS_MEMORY_MAX_MB=512",
			"NIMBUS_SERVER_INSECURE=true"},
		Flags: map[string]any{"log.level": "debug", "server.listen": "0.0.0.0:0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want, err := Load(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	want.Server = Server{Listen: "0.0.0.0:0", Insecure: true, ShutdownTimeout: 2 * time.Second}
	want.Log.Level = slog.LevelDebug
	want.Pool.IdleTimeout = 3 * time.Minute
	want.Pool.Runtimes = []PoolRuntime{{Runtime: "python3.11", MinWarm: 1, TargetWarm: 3, MaxTotal: 4}}
	want.Limits.Event = 100 << 10
	want.Limits.CPUMax = 2000
	want.Limits.MemoryMax = 512 << 20
	want.Retention.Records = 14 * 24 * time.Hour
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		file    string
		environ []string
		flags   map[string]any
		want    []string // a file's path is FILE
	}{
		{name: "every problem at once", file: "server:\n  listn: x\nlog:\n  level: loud\n",
			environ: []string{"NIMBUS_SERVER_LISEN=y", "NIMBUS_POOL_MAX_INVOCATIONS=0"},
			flags:   map[string]any{"data_dir": ""},
			want: []string{
				`FILE:2: unknown key server.listn, did you mean server.listen?`,
				`NIMBUS_SERVER_LISEN: unknown variable, did you mean NIMBUS_SERVER_LISTEN?`,
				`flag: data_dir must be a path, not ""`,
				`FILE:4: log.level must be debug, info, warn or error, not "loud"`,
				`NIMBUS_POOL_MAX_INVOCATIONS: pool.max_invocations must be 1 to 1000000000, not "0"`,
			}},
		{name: "in the wrong section", file: "listen: x\n",
			want: []string{`FILE:1: unknown key listen, did you mean server.listen?`}},
		{name: "not built", file: "scheduler:\n  workers: 4\n  max_retries: 3\nstore: {driver: postgres, dsn: x}\n",
			want: []string{`FILE:3: unknown key scheduler.max_retries, did you mean `, `FILE:2: unknown key scheduler.workers, did you mean `,
				`FILE:4: unknown key store.dsn, did you mean `, `FILE:4: store.driver must be sqlite, not "postgres"`}},
		{name: "unknown flag", flags: map[string]any{"server.lisen": "x"},
			want: []string{`flag: unknown key server.lisen, did you mean server.listen?`}},
		{name: "a section as a value", file: "server: 8080\n",
			want: []string{`FILE:1: server is a section, it has no value of its own`}},
		{name: "a value as a section", file: "data_dir:\n  path: x\n",
			want: []string{`FILE:2: unknown key data_dir.path, did you mean data_dir?`}},
		{name: "no value", file: "log:\n  level:\n", want: []string{`FILE:2: log.level must be debug, info, warn or error, not nothing`}},
		{name: "types", file: "auth: {enabled: 1}\nlimits: {event_kb: 1.5, pids: many}\npool: {idle_timeout: 30}\nserver: {tls: {cert_file: 3}}\n",
			want: []string{
				`FILE:4: server.tls.cert_file must be a path, not 3`,
				`FILE:1: auth.enabled must be true or false, not 1`,
				`FILE:3: pool.idle_timeout must be a duration, 1s to 24h, not 30`,
				`FILE:2: limits.event_kb must be 1 to 15360, not 1.5`,
				`FILE:2: limits.pids must be 16 to 32768, not "many"`,
			}},
		{name: "open to the world", flags: map[string]any{"server.listen": ":8080"},
			want: []string{`flag: server.listen :8080 can be reached from elsewhere: set auth.enabled to ask for API keys, ` +
				`or server.insecure (--insecure) to let everybody do everything`}},
		{name: "no address", environ: []string{"NIMBUS_SERVER_LISTEN=localhost"},
			want: []string{`NIMBUS_SERVER_LISTEN: server.listen must be host:port, not "localhost"`}},
		{name: "a certificate without its key", file: "server: {tls: {cert_file: a.pem}}",
			want: []string{`FILE:1: server.tls.cert_file needs server.tls.key_file as well`}},
		{name: "a key without its certificate", environ: []string{"NIMBUS_SERVER_TLS_KEY_FILE=a.pem"},
			want: []string{`NIMBUS_SERVER_TLS_KEY_FILE: server.tls.key_file needs server.tls.cert_file as well`}},
		{name: "between settings", environ: []string{"NIMBUS_LIMITS_MEMORY_MAX_MB=100", "NIMBUS_LIMITS_TIMEOUT_MIN=40s"},
			want: []string{
				`NIMBUS_LIMITS_MEMORY_MAX_MB: limits.memory_max_mb must not be below limits.memory_default_mb`,
				`NIMBUS_LIMITS_TIMEOUT_MIN: limits.timeout_min must not be above scheduler.default_timeout`,
			}},
		{name: "stocks", file: "pool:\n  runtimes:\n  - {runtime: a, min_warm: 6, target_warm: 5, memory: 3}\n  - 5\n  - {min_warm: -1}\n" +
			"  - {runtime: b, min_warm: 6, target_warm: 5}\n  - {runtime: c}\n  - {runtime: c}\n",
			want: []string{
				`FILE:2: pool.runtimes [0] has an unknown key memory; it takes runtime, min_warm, target_warm, max_total, memory_mb and vcpus`,
				`[1] must be {runtime, min_warm, target_warm, max_total, memory_mb, vcpus}, not 5`,
				`[2] min_warm must be 0 to 100000, not -1`,
				`needs a runtime`,
				`[3] min_warm 6, target_warm 5 and max_total 1000 must not descend, and max_total be 1 or more`,
				`[5] names c once more`,
			}},
		{name: "sizes", file: "pool:\n  runtimes:\n  - {runtime: a, memory_mb: 0, vcpus: 0}\n  - {runtime: b, memory_mb: many, vcpus: 2000}\n",
			want: []string{
				`FILE:2: pool.runtimes [0] memory_mb must be 1 to 1048576, not 0`,
				`vcpus must be 0.001 to 1024 cores, not 0`,
				`[1] memory_mb must be 1 to 1048576, not "many"`,
				`vcpus must be 0.001 to 1024 cores, not 2000`,
			}},
		{name: "sizes no function may have", file: "pool: {runtimes: [{runtime: a, memory_mb: 64}, {runtime: b, memory_mb: 20480, vcpus: 65}]}\n",
			want: []string{
				`FILE:1: pool.runtimes [0] memory_mb must be 128 to 10240, as limits.memory_min_mb and limits.memory_max_mb say`,
				`FILE:1: pool.runtimes [1] memory_mb must be 128 to 10240, as limits.memory_min_mb and limits.memory_max_mb say`,
				`FILE:1: pool.runtimes [1] vcpus must not be above 64, as limits.cpu_max_milli says`,
			}},
		{name: "stocks are a list", environ: []string{"NIMBUS_POOL_RUNTIMES={"},
			want: []string{`NIMBUS_POOL_RUNTIMES: pool.runtimes must be a list of {runtime, min_warm, target_warm, max_total, memory_mb, vcpus}, not "{"`}},
		{name: "no YAML", file: "server:\n  listen: [\n", want: []string{`FILE:2: `}},
		{name: "a key twice", file: "data_dir: a\ndata_dir: b\n", want: []string{`FILE:2: mapping key "data_dir" already defined at [1:1]`}},
		{name: "a list", file: "- a\n", want: []string{`FILE: must be keys and values`}},
		{name: "two documents", file: "data_dir: a\n---\ndata_dir: b\n", want: []string{`FILE: there is more than one document`}},
		{name: "too large", file: strings.Repeat("# comment\n", maxFileBytes/10+1),
			want: []string{`read the configuration: FILE: larger than 1048576 bytes`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sources := Sources{Environ: c.environ, Flags: c.flags}
			if c.file != "" {
				sources.File = writeFile(t, c.file)
			}
			cfg, err := Load(sources)
			if err == nil {
				t.Fatal("no error")
			}
			if !reflect.DeepEqual(cfg, Config{}) {
				t.Error("a configuration came with the error")
			}
			text := err.Error()
			if sources.File != "" {
				text = strings.ReplaceAll(text, sources.File, "FILE")
			}
			got := strings.Split(text, "\n")
			if len(got) != len(c.want) {
				t.Fatalf("problems:\n%s\nwant:\n%s", text, strings.Join(c.want, "\n"))
			}
			for i := range got {
				if got[i] != c.want[i] && !(strings.HasSuffix(c.want[i], " ") && strings.HasPrefix(got[i], c.want[i])) {
					t.Errorf("problem %d:\n got %s\nwant %s", i, got[i], c.want[i])
				}
			}
		})
	}
}

func TestMissingFile(t *testing.T) {
	t.Parallel()
	if _, err := Load(Sources{File: filepath.Join(t.TempDir(), "none.yaml")}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a file that isn't there: %v", err)
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	for address, loopback := range map[string]bool{
		"127.0.0.1:8080": true, "127.8.8.8:1": true, "[::1]:0": true, "localhost:80": true,
		":80": false, "0.0.0.0:80": false, "[::]:80": false, "192.0.2.1:80": false, "example.com:80": false,
	} {
		for _, way := range []string{"", "auth.enabled", "server.insecure"} {
			flags := map[string]any{"server.listen": address}
			if way != "" {
				flags[way] = true
			}
			if _, err := Load(Sources{Flags: flags}); (err == nil) != (loopback || way != "") {
				t.Errorf("listen on %s with %q: %v", address, way, err)
			}
		}
	}
}

func TestStocksAreFilled(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]PoolRuntime{
		"{runtime: p}":                               {"p", 2, 5, 1000, 0, 0},
		"{runtime: p, min_warm: 7}":                  {"p", 7, 7, 1000, 0, 0},
		"{runtime: p, max_total: 3}":                 {"p", 2, 3, 3, 0, 0},
		"{runtime: p, max_total: 1}":                 {"p", 1, 1, 1, 0, 0},
		"{runtime: p, target_warm: 0}":               {"p", 0, 0, 1000, 0, 0},
		"{runtime: p, target_warm: 2000}":            {"p", 2, 2000, 2000, 0, 0},
		"{runtime: p, min_warm: 0, target_warm: 50}": {"p", 0, 50, 1000, 0, 0},
		"{runtime: p, memory_mb: 512, vcpus: 1}":     {"p", 2, 5, 1000, 512 << 20, 1000},
		"{runtime: p, vcpus: 0.25}":                  {"p", 2, 5, 1000, 0, 250},
	} {
		got, err := Load(Sources{Environ: []string{"NIMBUS_POOL_RUNTIMES=[" + written + "]"}})
		if err != nil {
			t.Errorf("%s: %v", written, err)
			continue
		}
		if diff := cmp.Diff([]PoolRuntime{want}, got.Pool.Runtimes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", written, diff)
		}
	}
}

// TestEverySettingSets gives each key a value that is not its default, and wants exactly one field to change.
func TestEverySettingSets(t *testing.T) {
	t.Parallel()
	base, err := Load(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	changed := make(map[string]string)
	for _, s := range settings() {
		if strings.HasSuffix(s.Name, ".driver") || s.Name == "driver.default" {
			continue // one choice only
		}
		got := base
		if err := s.set(&got, another(t, s)); err != nil {
			t.Errorf("%s: %v", s.Name, err)
			continue
		}
		fields := differingFields("", reflect.ValueOf(base), reflect.ValueOf(got))
		if len(fields) != 1 || changed[fields[0]] != "" {
			t.Errorf("%s sets %v, which %s sets", s.Name, fields, changed[strings.Join(fields, "")])
			continue
		}
		changed[fields[0]] = s.Name
	}
	limits := reflect.TypeFor[nimbus.Limits]()
	for i := range limits.NumField() {
		if name := "Limits." + limits.Field(i).Name; changed[name] == "" {
			t.Errorf("nothing sets %s", name)
		}
	}
}

func another(t *testing.T, s setting) any {
	t.Helper()
	candidates := []any{"127.0.0.1:1", "true", "false", "debug", "json", "[{runtime: p}]", "7", "77", "777", "77s", "/elsewhere", "off", "0.5", "a=b", "grpc"}
	for _, value := range candidates {
		var probe Config
		if s.set(&probe, value) == nil && value != s.Default {
			return value
		}
	}
	t.Fatalf("no value for %s", s.Name)
	return nil
}

func differingFields(prefix string, a, b reflect.Value) []string {
	if a.Kind() != reflect.Struct {
		if reflect.DeepEqual(a.Interface(), b.Interface()) {
			return nil
		}
		return []string{prefix}
	}
	var names []string
	for i := range a.NumField() {
		name := strings.TrimPrefix(prefix+"."+a.Type().Field(i).Name, ".")
		names = append(names, differingFields(name, a.Field(i), b.Field(i))...)
	}
	return names
}

func FuzzLoad(f *testing.F) {
	f.Add("server:\n  listen: 127.0.0.1:0\npool: {runtimes: [{runtime: python3, min_warm: 1}]}", "NIMBUS_LOG_LEVEL=debug", "data_dir", "x")
	f.Add("a: &a [1]\nb: *a\n<<: {c: d}", "NIMBUS_POOL_RUNTIMES=[{", "", "")
	f.Add("server.listen: 1\n? [x]\n: y", "NIMBUS_", ".", "..")
	f.Add("\xef\xbb\xbflimits: {event_kb: 0x10}", "NIMBUS_LIMITS_EVENT_KB", "server", "1")
	f.Fuzz(func(t *testing.T, file, variable, flag, value string) {
		path := filepath.Join(t.TempDir(), "nimbus.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(Sources{File: path, Environ: []string{variable}, Flags: map[string]any{flag: value}})
		if err == nil && (cfg.DataDir == "" || cfg.Limits.MemoryMin > cfg.Limits.MemoryMax || cfg.Pool.MaxInvocations < 1) {
			t.Errorf("accepted: %+v", cfg)
		}
	})
}
