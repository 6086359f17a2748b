// Package config reads the configuration of a server: defaults, then the file, then the environment, then
// flags, each overriding the one before. It is strict: what it does not know or cannot take is an error, and
// all errors are told at once. No other package reads settings from the environment.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/knadh/koanf/v2"

	"nimbus"
	"nimbus/internal/obs"
)

// Sources are the places that settings come from. The zero value gives the defaults.
type Sources struct {
	File    string         // path of a YAML file; "" = none
	Environ []string       // NAME=value, as os.Environ returns them
	Flags   map[string]any // by key; only the flags that were given
}

// Config is every setting, checked.
type Config struct {
	Server    Server
	DataDir   string
	Auth      Auth
	Log       Log
	Store     Store
	Driver    Driver
	Pool      Pool
	Scheduler Scheduler
	Build     Build
	Limits    nimbus.Limits
	Retention Retention
	Telemetry Telemetry
}

// Server is how the server is reached.
type Server struct {
	Listen          string // host:port
	Insecure        bool   // beyond loopback without asking for keys
	ShutdownTimeout time.Duration
	TLS             TLS
}

// TLS names the files of a certificate; both empty = plain HTTP.
type TLS struct {
	CertFile string
	KeyFile  string
}

// Auth says whether requests need an API key.
type Auth struct {
	Enabled bool
}

// Log is about the server's own log.
type Log struct {
	Level  slog.Level
	Format obs.Format
}

// Store chooses where control data, records and the ledger are kept.
type Store struct {
	Driver string
}

// Driver chooses what makes instances.
type Driver struct {
	Default string
	Sandbox Sandbox
}

// Sandbox configures the sandbox driver.
type Sandbox struct {
	AllowMissingLimits bool
}

// Pool says how many instances are kept, and for how long.
type Pool struct {
	HealthCheckInterval time.Duration
	MaxVMAge            time.Duration
	MaxInvocations      int
	IdleTimeout         time.Duration
	FreezeAfter         time.Duration
	UseSnapshots        bool // by drivers that can
	Runtimes            []PoolRuntime
}

// PoolRuntime is the stock of one runtime.
type PoolRuntime struct {
	Runtime    string
	MinWarm    int
	TargetWarm int
	MaxTotal   int
	Memory     int64 // bytes of a function that does not say, and of blanks; 0 = Limits.Memory
	CPUMilli   int   // of a function that does not say, in thousandths of a core; 0 = no limit
}

// Scheduler bounds the calls that wait.
type Scheduler struct {
	QueueSize int
}

// Retention says how long things are kept.
type Retention struct {
	Records  time.Duration
	Logs     time.Duration
	LogBytes int64
	Versions int
}

// Load returns the configuration that the sources give together. Its error joins every problem there is.
func Load(sources Sources) (Config, error) {
	l := loader{settings: settings(), merged: koanf.New("."), origins: make(map[string]string)}
	l.add(defaultLayer(l.settings))
	if sources.File != "" {
		l.add(fileLayer(sources.File))
	}
	l.add(environLayer(l.settings, sources.Environ))
	l.add(flagLayer(sources.Flags))
	cfg := l.decode()
	l.check(&cfg)
	if len(l.problems) > 0 {
		return Config{}, errors.Join(l.problems...)
	}
	return cfg, nil
}

// loader gathers settings and what is wrong with them.
type loader struct {
	settings []setting
	merged   *koanf.Koanf
	origins  map[string]string // by key: where its value comes from
	problems []error
}

func (l *loader) setting(key string) *setting {
	i := slices.IndexFunc(l.settings, func(s setting) bool { return s.Name == key })
	if i < 0 {
		return nil
	}
	return &l.settings[i]
}

// add puts a layer over those before.
func (l *loader) add(from layer) {
	l.problems = append(l.problems, from.problems...)
	values := from.values.All()
	for _, key := range from.values.Keys() {
		switch value := values[key]; {
		case l.setting(key) != nil:
			_ = l.merged.Set(key, value) // a plain Set never fails
			l.origins[key] = from.origin(key)
		case isSection(l.settings, key) && isEmpty(value):
		case isSection(l.settings, key):
			l.problems = append(l.problems, fmt.Errorf("%s: %s is a section, it has no value of its own", from.origin(key), key))
		default:
			l.problems = append(l.problems, fmt.Errorf("%s: unknown key %s, did you mean %s?",
				from.origin(key), key, nearestKey(l.settings, key)))
		}
	}
}

// decode turns the merged values into a Config. A value that can't be had leaves the default.
func (l *loader) decode() Config {
	var cfg Config
	for i := range l.settings {
		s := &l.settings[i]
		if err := s.set(&cfg, s.Default); err != nil {
			panic("config: default of " + s.Name + ": " + err.Error())
		}
		if err := s.set(&cfg, l.merged.Get(s.Name)); err != nil {
			l.problem(s.Name, err)
			delete(l.origins, s.Name)
		}
	}
	return cfg
}

// problem notes what is wrong with the key's value.
func (l *loader) problem(key string, err error) {
	l.problems = append(l.problems, fmt.Errorf("%s: %s %w", l.origins[key], key, err))
}

// isEmpty reports whether a section was written down without content.
func isEmpty(value any) bool {
	section, ok := value.(map[string]any)
	return value == nil || ok && len(section) == 0
}
