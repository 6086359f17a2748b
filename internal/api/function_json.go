package api

import (
	"slices"
	"time"

	"nimbus"
	"nimbus/internal/function"
)

// functionJSON is a function as answers show it.
type functionJSON struct {
	ID                  string            `json:"id"`
	Name                string            `json:"name"`
	Namespace           string            `json:"namespace"`
	Description         string            `json:"description"`
	Runtime             string            `json:"runtime" doc:"Resolved: python3.11, never python3."`
	Handler             string            `json:"handler"`
	Code                string            `json:"code,omitempty" doc:"The code, if it was given as text; absent in lists."`
	CodeHash            string            `json:"code_hash" doc:"SHA-256 of the stored archive of what was given, in hex."`
	Toolchain           string            `json:"toolchain" doc:"What compiled the code, as go1.26.8; empty when nothing was compiled."`
	MemoryMB            int64             `json:"memory_mb"`
	TimeoutSec          int64             `json:"timeout_sec"`
	EnvVars             map[string]string `json:"env_vars"`
	Status              nimbus.Status     `json:"status" enum:"building,active,failed,inactive"`
	StatusMessage       string            `json:"status_message" doc:"Why the function, or its last update, failed; or what is being built."`
	Version             int64             `json:"version"`
	Tags                []string          `json:"tags"`
	MaxConcurrency      int               `json:"max_concurrency" doc:"Calls at once; 0 is unbounded."`
	InstanceConcurrency int               `json:"instance_concurrency" doc:"Calls that one instance takes at once."`
	MinInstances        int               `json:"min_instances" doc:"Instances kept ready."`
	IdleTimeout         string            `json:"idle_timeout" doc:"As 2m0s; 0s is the pool's."`
	CPUMilli            int               `json:"cpu_milli" doc:"Thousandths of a core; 0 is no limit, and an equal share under load."`
	TmpMB               int64             `json:"tmp_mb"`
	Driver              string            `json:"driver"`
	Capture             string            `json:"capture" enum:"none,errors,sampled,all"`
	EventFormat         string            `json:"event_format" enum:"v2,raw"`
	CreatedAt           time.Time         `json:"created_at"`
	UpdatedAt           time.Time         `json:"updated_at"`
}

func newFunctionJSON(f *nimbus.Function) functionJSON {
	s := f.Version.Settings
	out := functionJSON{
		ID: f.ID.String(), Name: f.Name, Namespace: f.Namespace,
		Description: s.Description, Runtime: s.Runtime, Handler: s.Handler,
		CodeHash: f.Version.Code().Hash, Toolchain: f.Version.Toolchain,
		MemoryMB: s.Memory / nimbus.MiB, TimeoutSec: int64(s.Timeout / time.Second), TmpMB: s.Tmp / nimbus.MiB,
		EnvVars: s.Env, Tags: s.Tags,
		Status: f.Status, StatusMessage: f.StatusMessage, Version: f.Version.Number,
		MaxConcurrency: s.MaxConcurrency, InstanceConcurrency: max(1, s.InstanceConcurrency), MinInstances: s.MinInstances,
		IdleTimeout: s.IdleTimeout.String(), CPUMilli: s.CPUMilli,
		Driver: s.Driver, Capture: string(s.Capture), EventFormat: string(s.EventFormat),
		CreatedAt: f.CreatedAt.UTC(), UpdatedAt: f.UpdatedAt.UTC(),
	}
	if out.EnvVars == nil {
		out.EnvVars = map[string]string{}
	}
	if out.Tags == nil {
		out.Tags = []string{}
	}
	return out
}

// functionInput is what a request says about a function. What it leaves out is the default on create, and
// unchanged on update.
type functionInput struct {
	ID                  *string           `json:"id,omitempty" doc:"Of an update only, as it is shown."`
	Name                *string           `json:"name,omitempty" doc:"Of a new function; it can't be changed." pattern:"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"`
	Description         *string           `json:"description,omitempty"`
	Runtime             *string           `json:"runtime,omitempty" doc:"python3.11, python3, nodejs22, go1.26, wasm, custom, or nothing: inferred from the code."`
	Handler             *string           `json:"handler,omitempty" doc:"handler.handle is the function handle in handler.py; of go and wasm it is the file that runs."`
	Code                *string           `json:"code,omitempty" doc:"The code as text; excludes an archive."`
	Binary              binaryText        `json:"binary,omitempty" doc:"One file that runs as it is, in base64: a program, a bootstrap, a .wasm; excludes other code."`
	MemoryMB            *int64            `json:"memory_mb,omitempty"`
	TimeoutSec          *int64            `json:"timeout_sec,omitempty"`
	EnvVars             map[string]string `json:"env_vars,omitempty" doc:"All of them: what was there is replaced."`
	Tags                []string          `json:"tags,omitempty" doc:"All of them: what was there is replaced."`
	MaxConcurrency      *int              `json:"max_concurrency,omitempty" doc:"Calls at once; 0 is unbounded."`
	InstanceConcurrency *int              `json:"instance_concurrency,omitempty" doc:"Calls that one instance takes at once: 1 to 1000, and above 1 of nodejs only."`
	MinInstances        *int              `json:"min_instances,omitempty" doc:"Instances kept ready; 0 is none."`
	IdleTimeout         *string           `json:"idle_timeout,omitempty" doc:"A Go duration, as 2m; 0s is the pool's."`
	CPUMilli            *int              `json:"cpu_milli,omitempty" doc:"Thousandths of a core; 0 is no limit, and an equal share under load."`
	TmpMB               *int64            `json:"tmp_mb,omitempty"`
	Driver              *string           `json:"driver,omitempty"`
	Capture             *string           `json:"capture,omitempty" enum:"none,errors,sampled,all"`
	EventFormat         *string           `json:"event_format,omitempty" enum:"v2,raw"`
	Status              *string           `json:"status,omitempty" doc:"Of an update only." enum:"active,inactive"`
	Version             *int64            `json:"version,omitempty" doc:"Of an update only: it is refused as a conflict when this is not the newest version."`
	Namespace           *string           `json:"namespace,omitempty" doc:"Of an update only, as it is shown."`
	CodeHash            *string           `json:"code_hash,omitempty" doc:"Of an update only, as it is shown."`
	Toolchain           *string           `json:"toolchain,omitempty" doc:"Of an update only, as it is shown."`
	StatusMessage       *string           `json:"status_message,omitempty" doc:"Of an update only, as it is shown."`
	CreatedAt           *string           `json:"created_at,omitempty" doc:"Of an update only, as it is shown."`
	UpdatedAt           *string           `json:"updated_at,omitempty" doc:"Of an update only, as it is shown."`
}

// useCase returns the input of the use case, which checks the values.
func (in *functionInput) useCase() (function.Input, error) {
	out := function.Input{
		Description: in.Description, Runtime: in.Runtime, Handler: in.Handler, Code: in.Code,
		MemoryMB: in.MemoryMB, TimeoutSec: in.TimeoutSec, EnvVars: in.EnvVars, Tags: in.Tags,
		MaxConcurrency: in.MaxConcurrency, InstanceConcurrency: in.InstanceConcurrency, MinInstances: in.MinInstances,
		CPUMilli: in.CPUMilli, TmpMB: in.TmpMB, Driver: in.Driver,
		Capture:     (*nimbus.Capture)(in.Capture),
		EventFormat: (*nimbus.EventFormat)(in.EventFormat),
		Status:      (*nimbus.Status)(in.Status), Version: in.Version,
	}
	if in.IdleTimeout != nil {
		d, err := time.ParseDuration(*in.IdleTimeout)
		if err != nil {
			var invalid nimbus.Invalid
			invalid.Add("idle_timeout", "must be a duration, as 90s or 2m")
			return out, invalid.Err()
		}
		out.IdleTimeout = &d
	}
	return out, nil
}

// repetition is a field that an update may give only as it is shown.
type repetition struct {
	name  string
	given *string
	shown string
}

func (in *functionInput) repetitions(f *nimbus.Function) []repetition {
	shown := newFunctionJSON(f)
	return []repetition{
		{"id", in.ID, shown.ID}, {"name", in.Name, shown.Name}, {"namespace", in.Namespace, shown.Namespace},
		{"code_hash", in.CodeHash, shown.CodeHash}, {"toolchain", in.Toolchain, shown.Toolchain},
		{"status_message", in.StatusMessage, shown.StatusMessage},
		{"created_at", in.CreatedAt, shown.CreatedAt.Format(time.RFC3339Nano)},
		{"updated_at", in.UpdatedAt, shown.UpdatedAt.Format(time.RFC3339Nano)},
	}
}

// repeats reports whether the input has any such field.
func (in *functionInput) repeats() bool {
	return slices.ContainsFunc(in.repetitions(&nimbus.Function{}), func(r repetition) bool { return r.given != nil })
}

// checkRepeated names the fields that differ from the function as it is.
func (in *functionInput) checkRepeated(f *nimbus.Function) error {
	var invalid nimbus.Invalid
	for _, r := range in.repetitions(f) {
		if r.given != nil && *r.given != r.shown {
			invalid.Add(r.name, "can't be changed: leave it out, or send it as it is, %q", r.shown)
		}
	}
	return invalid.Err()
}

const notSupported = "is not supported by this version of Nimbus"

// refusedFields are the names that a request may not give because Nimbus can't do it yet.
func refusedFields() map[string]string {
	refused := map[string]string{}
	for _, name := range []string{"cron_expression", "http_path", "http_methods", "environment", "package", "image_url", "layers", "secrets", "egress", "retry"} {
		refused[name] = notSupported
	}
	return refused
}

func refusedOnCreate() map[string]string {
	refused := refusedFields()
	refused["status"] = "can be changed by an update only; a new function is active"
	refused["namespace"] = "is chosen by ?namespace= or the header " + namespaceHeader
	for _, name := range []string{"id", "code_hash", "toolchain", "status_message", "version", "created_at", "updated_at"} {
		refused[name] = "is set by Nimbus"
	}
	return refused
}
