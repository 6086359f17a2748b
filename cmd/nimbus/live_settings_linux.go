package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"nimbus"
	"nimbus/internal/api"
	"nimbus/internal/config"
)

// liveSettings is the configuration the server goes by. It outlives the programs that serve one after the
// other, and is read again at SIGHUP and when the API is asked to. Safe for concurrent use.
type liveSettings struct {
	sources config.Sources
	level   *slog.LevelVar
	hangups chan os.Signal

	reloading sync.Mutex // held while a reload is applied

	mu      sync.Mutex
	current config.Config
	pending []config.Change // what a restart will bring, as of the last reload
	program *program        // to be told of changes; nil = none runs
}

func newLiveSettings(cfg config.Config, sources config.Sources) *liveSettings {
	s := &liveSettings{sources: sources, level: new(slog.LevelVar), hangups: make(chan os.Signal, 1), current: cfg}
	s.level.Set(cfg.Log.Level)
	return s
}

// config is what holds at this moment.
func (s *liveSettings) config() config.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// listen takes SIGHUP for a wish to reload, until stop.
func (s *liveSettings) listen() (stop func()) {
	signal.Notify(s.hangups, syscall.SIGHUP)
	return func() { signal.Stop(s.hangups) }
}

// run has the program follow the settings until ctx ends.
func (s *liveSettings) run(ctx context.Context, p *program) error {
	s.follow(p)
	defer s.follow(nil)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.hangups:
			if _, err := s.reload(ctx); err != nil {
				p.log.Error("the configuration was not reloaded, the server goes on as before", "error", err)
			}
		}
	}
}

func (s *liveSettings) follow(p *program) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.program = p
}

// reload reads the sources again and applies what can change: all of it, or none when anything is wrong.
func (s *liveSettings) reload(ctx context.Context) (config.Reloaded, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.mu.Lock()
	running, p := s.current, s.program
	s.mu.Unlock()
	if p == nil {
		return config.Reloaded{}, nimbus.Errorf(nimbus.CodeUnavailable, "the server is starting or stopping")
	}
	r, err := config.Reload(running, s.sources)
	if err != nil {
		return config.Reloaded{}, err
	}
	if err := p.apply(r.Config); err != nil {
		return config.Reloaded{}, err
	}
	s.level.Set(r.Config.Log.Level)
	s.mu.Lock()
	s.current, s.pending = r.Config, r.Pending
	s.mu.Unlock()
	for _, c := range r.Changed {
		p.log.InfoContext(ctx, "setting changed", "key", c.Name, "from", c.From, "to", c.To)
	}
	for _, c := range r.Pending {
		p.log.WarnContext(ctx, "setting takes a restart", "key", c.Name, "running", c.From, "configured", c.To)
	}
	p.log.InfoContext(ctx, "configuration reloaded", "changed", len(r.Changed), "pending_restart", len(r.Pending))
	return r, nil
}

// apply goes on with the live settings of another configuration. What can fail comes first.
func (p *program) apply(cfg config.Config) error {
	if err := checkStocks(cfg.Pool, p.runtimes); err != nil {
		return err
	}
	if err := p.pool.Reconfigure(poolConfig(cfg, p.runtimes)); err != nil {
		return err
	}
	p.funcs.SetDefaults(functionDefaults(cfg, p.runtimes))
	p.funcs.SetTimeout(cfg.Limits.Timeout)
	p.funcs.SetKeep(cfg.Retention.Versions)
	p.invokes.SetRetention(cfg.Retention.Records)
	p.logs.SetRetention(cfg.Retention.Logs, cfg.Retention.LogBytes)
	return nil
}

// List implements api.Settings.
func (s *liveSettings) List(_ context.Context, p nimbus.Principal) ([]api.Setting, error) {
	if err := p.RequireInstallation(nimbus.ScopeRead); err != nil {
		return nil, err
	}
	s.mu.Lock()
	current, changes := s.current, s.pending
	s.mu.Unlock()
	pending := make(map[string]string)
	for _, c := range changes {
		pending[c.Name] = c.To
	}
	var items []api.Setting
	for _, v := range current.Values() {
		items = append(items, api.Setting{Name: v.Name, Value: v.Value, Default: v.Default, Bound: v.Bound, Meaning: v.Meaning,
			Live: v.Live, Pending: pending[v.Name]})
	}
	return items, nil
}

// Reload implements api.Settings.
func (s *liveSettings) Reload(ctx context.Context, p nimbus.Principal) (api.Reload, error) {
	if err := p.RequireInstallation(nimbus.ScopeAdmin); err != nil {
		return api.Reload{}, err
	}
	r, err := s.reload(ctx)
	if err != nil {
		if nimbus.CodeOf(err) == nimbus.CodeUnavailable {
			return api.Reload{}, err
		}
		return api.Reload{}, nimbus.WrapError(nimbus.CodeInvalid, err, "the configuration is wrong, nothing has changed: %s", err)
	}
	return api.Reload{Changed: showChanges(r.Changed), Pending: showChanges(r.Pending)}, nil
}

func showChanges(changes []config.Change) []api.SettingChange {
	shown := make([]api.SettingChange, len(changes))
	for i, c := range changes {
		shown[i] = api.SettingChange(c)
	}
	return shown
}
