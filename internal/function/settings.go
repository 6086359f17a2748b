package function

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"nimbus"
	"nimbus/internal/build"
	"nimbus/internal/runtime"
)

// Bounds that no installation has asked to change.
const (
	maxDescription = 1024 // characters
	maxTags        = 32
	maxTag         = 128 // bytes
	maxConcurrency = 100_000
	minIdle        = time.Second
	maxIdle        = 24 * time.Hour

	maxInstanceConcurrency = 1000
	maxMinInstances        = 1000 // where the runtime's pool is not bounded
)

// unsaid are the settings of a function whose user said nothing. Runtime and handler are inferred.
func (s *Service) unsaid() nimbus.Settings {
	l := s.cfg.Limits
	return nimbus.Settings{
		Memory: l.Memory, Timeout: time.Duration(s.timeout.Load()), Tmp: l.Tmp, Driver: s.cfg.Driver,
		Capture: nimbus.CaptureErrors, EventFormat: nimbus.EventFormatV2,
	}
}

// merge returns base with what in gives, and adds to v every field that is out of its bounds, under the
// name it has outside.
func (s *Service) merge(v *nimbus.Invalid, base nimbus.Settings, in Input) nimbus.Settings {
	l, out := s.cfg.Limits, base
	if in.Code != nil && in.Archive != nil {
		v.Add("code", "text and a zip exclude each other")
	}
	if in.Binary != nil && (in.Code != nil || in.Archive != nil) {
		v.Add("binary", "a binary and other code exclude each other")
	}
	if in.Binary != nil && in.Binary.Size() == 0 {
		v.Add("binary", "must not be empty")
	}
	if in.Code != nil && strings.TrimSpace(*in.Code) == "" {
		v.Add("code", "must not be empty")
	}
	if in.Description != nil {
		out.Description = *in.Description
		checkText(v, "description", out.Description)
	}
	if in.Runtime != nil {
		out.Runtime = *in.Runtime
		if out.Runtime != "" {
			s.checkRuntime(v, out.Runtime)
		}
	}
	if in.Handler != nil {
		out.Handler = *in.Handler
		if language := s.language(out.Runtime); out.Handler != "" && !build.ValidHandler(language, out.Handler) {
			v.Add("handler", "%s", build.HandlerRule(language))
		}
	}
	if in.MemoryMB != nil {
		out.Memory = megabytes(v, "memory_mb", *in.MemoryMB, l.MemoryMin, l.MemoryMax)
	}
	if in.TimeoutSec != nil {
		seconds := between(v, "timeout_sec", *in.TimeoutSec, int64(l.TimeoutMin/time.Second), int64(l.TimeoutMax/time.Second))
		out.Timeout = time.Duration(seconds) * time.Second
	}
	if in.EnvVars != nil {
		out.Env = maps.Clone(in.EnvVars)
		checkEnv(v, out.Env, l.Env)
	}
	if in.Tags != nil {
		out.Tags = slices.Compact(slices.Sorted(slices.Values(in.Tags)))
		checkTags(v, out.Tags)
	}
	if in.MaxConcurrency != nil {
		out.MaxConcurrency = between(v, "max_concurrency", *in.MaxConcurrency, 0, maxConcurrency)
	}
	if in.MinInstances != nil {
		out.MinInstances = between(v, "min_instances", *in.MinInstances, 0, maxMinInstances)
	}
	if in.InstanceConcurrency != nil {
		out.InstanceConcurrency = between(v, "instance_concurrency", *in.InstanceConcurrency, 1, maxInstanceConcurrency)
	}
	if in.IdleTimeout != nil {
		out.IdleTimeout = *in.IdleTimeout
		if out.IdleTimeout != 0 && (out.IdleTimeout < minIdle || out.IdleTimeout > maxIdle) {
			v.Add("idle_timeout", "must be %s to %s, or 0 for the pool's", minIdle, maxIdle)
		}
	}
	if in.CPUMilli != nil {
		out.CPUMilli = between(v, "cpu_milli", *in.CPUMilli, 0, l.CPUMax)
	}
	if in.TmpMB != nil {
		out.Tmp = megabytes(v, "tmp_mb", *in.TmpMB, nimbus.MiB, l.TmpMax)
	}
	if in.Driver != nil {
		out.Driver = *in.Driver
		if out.Driver == "" {
			out.Driver = s.cfg.Driver
		}
	}
	if in.Capture != nil {
		out.Capture = *in.Capture
		checkOneOf(v, "capture", out.Capture, nimbus.Captures())
	}
	if in.EventFormat != nil {
		out.EventFormat = *in.EventFormat
		checkOneOf(v, "event_format", out.EventFormat, nimbus.EventFormats())
	}
	return out
}

// ofRuntime fills in what the installation sets for functions of the runtime, where the user said nothing.
func (s *Service) ofRuntime(settings nimbus.Settings, in Input) nimbus.Settings {
	d := (*s.defaults.Load())[settings.Runtime]
	if in.MemoryMB == nil && d.Memory != 0 {
		settings.Memory = d.Memory
	}
	if in.CPUMilli == nil && d.CPUMilli != 0 {
		settings.CPUMilli = d.CPUMilli
	}
	return settings
}

// checkOfRuntime holds settings against what their runtime bounds.
func (s *Service) checkOfRuntime(settings nimbus.Settings, in Input) error {
	var v nimbus.Invalid
	if most := (*s.defaults.Load())[settings.Runtime].MinInstances; in.MinInstances != nil && most != 0 {
		between(&v, "min_instances", settings.MinInstances, 0, most)
	}
	if settings.InstanceConcurrency > 1 && s.language(settings.Runtime) != runtime.Node {
		v.Add("instance_concurrency", "must be 1: only nodejs takes several calls in one instance")
	}
	return v.Err()
}

// checkRuntime adds why there is no such runtime. Anything but the field's fault comes out again when the
// runtime is resolved for good.
func (s *Service) checkRuntime(v *nimbus.Invalid, name string) {
	_, err := s.runtimes.Resolve(name)
	for _, f := range fieldErrors(err) {
		v.Add(f.Field, "%s", f.Detail)
	}
}

// language is that of a runtime's name, "" while it is unknown.
func (s *Service) language(name string) runtime.Language {
	r, err := s.runtimes.Resolve(name)
	if err != nil {
		return ""
	}
	return r.Language
}

func (s *Service) checkDriver(ctx context.Context, v *nimbus.Invalid, name string) {
	d, there := s.drivers[name]
	if !there {
		v.Add("driver", "there is no driver %q here; there is %s", name, strings.Join(slices.Sorted(maps.Keys(s.drivers)), ", "))
		return
	}
	if report := d.Probe(ctx); !report.Healthy {
		v.Add("driver", "%q can't run here: %s", name, report.Reason)
	}
}

func checkText(v *nimbus.Invalid, field, text string) {
	switch {
	case utf8.RuneCountInString(text) > maxDescription:
		v.Add(field, "must be at most %d characters", maxDescription)
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		v.Add(field, "must be text: UTF-8 without NUL")
	}
}
