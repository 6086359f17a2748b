package config

import (
	"log/slog"
	"strconv"
	"time"

	"nimbus"
	"nimbus/internal/obs"
)

// settings is the table of everything that can be set. Documents and the environment's names are made of it.
func settings() []setting {
	var all []setting
	all = append(all, serverSettings()...)
	all = append(all, driverSettings()...)
	all = append(all, allLive(poolSettings())...)
	all = append(all, buildSettings()...)
	all = append(all, limitSettings()...)
	all = append(all, allLive(retentionSettings())...)
	return append(all, telemetrySettings()...)
}

func serverSettings() []setting {
	return []setting{
		newSetting("server.listen", "127.0.0.1:8080", address(func(c *Config) *string { return &c.Server.Listen }),
			"Where the server listens. Beyond loopback it needs auth.enabled or server.insecure."),
		newSetting("server.insecure", "false", boolean(func(c *Config) *bool { return &c.Server.Insecure }),
			"Listen beyond loopback without asking for keys: whoever reaches the address may do everything."),
		newSetting("server.shutdown_timeout", "30s", duration(0, time.Hour, func(c *Config) *time.Duration { return &c.Server.ShutdownTimeout }),
			"How long running calls may go on when the server stops."),
		newSetting("server.tls.cert_file", "", text("a path", func(c *Config) *string { return &c.Server.TLS.CertFile }),
			"Certificate chain, PEM. With it the server speaks HTTPS; it needs server.tls.key_file."),
		newSetting("server.tls.key_file", "", text("a path", func(c *Config) *string { return &c.Server.TLS.KeyFile }),
			"Private key of the certificate, PEM."),
		newSetting("data_dir", "./data", path(func(c *Config) *string { return &c.DataDir }),
			"Directory of everything that is kept. One server at a time may use it."),
		newSetting("auth.enabled", "false", boolean(func(c *Config) *bool { return &c.Auth.Enabled }),
			"Ask every request for an API key. The first admin key is printed once."),
		newSetting("log.level", "info", logLevel(func(c *Config) *slog.Level { return &c.Log.Level }),
			"The least that is logged.").live(),
		newSetting("log.format", "text", logFormat(func(c *Config) *obs.Format { return &c.Log.Format }),
			"How the server's own log is written."),
	}
}

func driverSettings() []setting {
	return []setting{
		newSetting("store.driver", "sqlite", choice(func(c *Config) *string { return &c.Store.Driver }, "sqlite"),
			"Where functions, records and the ledger are kept."),
		newSetting("driver.default", "sandbox", choice(func(c *Config) *string { return &c.Driver.Default }, "sandbox"),
			"What makes the instances of functions that name no driver."),
		newSetting("driver.sandbox.allow_missing_limits", "false", boolean(func(c *Config) *bool { return &c.Driver.Sandbox.AllowMissingLimits }),
			"Run functions although this machine can't hold them to a limit (see `nimbus doctor`)."),
	}
}

func poolSettings() []setting {
	return []setting{
		newSetting("pool.health_check_interval", "10s", duration(time.Second, time.Hour, func(c *Config) *time.Duration { return &c.Pool.HealthCheckInterval }),
			"How often an idle instance is asked for a sign of life."),
		newSetting("pool.max_vm_age", "1h", duration(time.Minute, 30*day, func(c *Config) *time.Duration { return &c.Pool.MaxVMAge }),
			"An instance older than this is replaced once it is idle."),
		newSetting("pool.max_invocations", "1000", count(1, 1_000_000_000, func(c *Config) *int { return &c.Pool.MaxInvocations }),
			"An instance that has served so many calls is replaced."),
		newSetting("pool.idle_timeout", "2m", duration(time.Second, day, func(c *Config) *time.Duration { return &c.Pool.IdleTimeout }),
			"An instance without a call for so long is stopped, unless its function says otherwise."),
		newSetting("pool.freeze_after", "1s", duration(10*time.Millisecond, day, func(c *Config) *time.Duration { return &c.Pool.FreezeAfter }),
			"An instance without a call for so long is frozen: it uses no CPU until the next one."),
		newSetting("pool.use_snapshots", "true", boolean(func(c *Config) *bool { return &c.Pool.UseSnapshots }),
			"Start instances from snapshots, with drivers that can (`nimbus doctor` says which can't)."),
		newSetting("pool.runtimes", "[]", stocks(func(c *Config) *[]PoolRuntime { return &c.Pool.Runtimes }),
			"Instances kept ready, by runtime: min_warm at any price, target_warm while nothing else is to be done, max_total at most. "+
				"Left out, they are 2, 5 and 1000, or as near as the others allow. memory_mb and vcpus are those of functions that don't say."),
		newSetting("scheduler.queue_size", "2048", count(1, 1_000_000, func(c *Config) *int { return &c.Scheduler.QueueSize }),
			"Calls that may wait for an instance, all functions together; those of one may fill half of it."),
		newSetting("scheduler.default_timeout", "30s", duration(time.Second, day, func(c *Config) *time.Duration { return &c.Limits.Timeout }),
			"How long a call may take when its function does not say."),
	}
}

// maxPayloadKB leaves room for what goes with an event or a result in a frame of 16 MiB.
const maxPayloadKB = 15 << 10

func limitSettings() []setting {
	d := nimbus.DefaultLimits()
	kb := func(name string, def, most int64, field func(*Config) *int64, meaning string) setting {
		return newSetting("limits."+name, strconv.FormatInt(def/nimbus.KiB, 10), size(nimbus.KiB, 1, most, field), meaning)
	}
	mb := func(name string, def, most int64, field func(*Config) *int64, meaning string) setting {
		return newSetting("limits."+name, strconv.FormatInt(def/nimbus.MiB, 10), size(nimbus.MiB, 1, most, field), meaning)
	}
	number := func(name string, def, least, most int, field func(*Config) *int, meaning string) setting {
		return newSetting("limits."+name, strconv.Itoa(def), count(least, most, field), meaning)
	}
	span := func(name string, def, most time.Duration, field func(*Config) *time.Duration, meaning string) setting {
		return newSetting("limits."+name, formatDuration(def), duration(time.Second, most, field), meaning)
	}
	return []setting{
		kb("inline_code_kb", d.InlineCode, 16<<10, func(c *Config) *int64 { return &c.Limits.InlineCode }, "Code given as text."),
		mb("archive_mb", d.Archive, 4<<10, func(c *Config) *int64 { return &c.Limits.Archive }, "An uploaded zip."),
		mb("unpacked_mb", d.Unpacked, 64<<10, func(c *Config) *int64 { return &c.Limits.Unpacked }, "An archive's files together."),
		number("archive_files", d.ArchiveFile, 1, 1_000_000, func(c *Config) *int { return &c.Limits.ArchiveFile }, "Entries of an archive."),
		mb("memory_min_mb", d.MemoryMin, 1<<20, func(c *Config) *int64 { return &c.Limits.MemoryMin }, "The least memory a function may ask for."),
		mb("memory_max_mb", d.MemoryMax, 1<<20, func(c *Config) *int64 { return &c.Limits.MemoryMax }, "The most memory a function may ask for."),
		mb("memory_default_mb", d.Memory, 1<<20, func(c *Config) *int64 { return &c.Limits.Memory }, "The memory of a function that does not say."),
		span("timeout_min", d.TimeoutMin, day, func(c *Config) *time.Duration { return &c.Limits.TimeoutMin }, "The shortest time-out a function may ask for."),
		span("timeout_max", d.TimeoutMax, day, func(c *Config) *time.Duration { return &c.Limits.TimeoutMax }, "The longest time-out a function may ask for."),
		kb("event_kb", d.Event, maxPayloadKB, func(c *Config) *int64 { return &c.Limits.Event }, "The event of one call."),
		kb("response_kb", d.Response, maxPayloadKB, func(c *Config) *int64 { return &c.Limits.Response }, "A result that is not streamed."),
		mb("stream_mb", d.Stream, 1<<20, func(c *Config) *int64 { return &c.Limits.Stream }, "A streamed result."),
		kb("env_kb", d.Env, 1<<10, func(c *Config) *int64 { return &c.Limits.Env }, "A function's environment variables together."),
		mb("tmp_max_mb", d.TmpMax, 1<<20, func(c *Config) *int64 { return &c.Limits.TmpMax }, "The most /tmp a function may ask for."),
		mb("tmp_default_mb", d.Tmp, 1<<20, func(c *Config) *int64 { return &c.Limits.Tmp }, "The /tmp of a function that does not say."),
		number("cpu_max_milli", d.CPUMax, 100, 1_024_000, func(c *Config) *int { return &c.Limits.CPUMax }, "The most CPU a function may ask for, in thousandths of a core."),
		number("pids", d.PIDs, 16, 32_768, func(c *Config) *int { return &c.Limits.PIDs }, "Processes and threads of one instance."),
		span("init_timeout", d.InitTimeout, time.Hour, func(c *Config) *time.Duration { return &c.Limits.InitTimeout }, "How long a function may take to be imported."),
		kb("log_line_kb", d.LogLine, 1<<10, func(c *Config) *int64 { return &c.Limits.LogLine }, "What is kept of one log line."),
		kb("log_call_kb", d.LogCall, 1<<20, func(c *Config) *int64 { return &c.Limits.LogCall }, "What is kept of the log of one call."),
		kb("captured_kb", d.Captured, maxPayloadKB, func(c *Config) *int64 { return &c.Limits.Captured }, "What a record keeps of an input or an output."),
	}
}

func retentionSettings() []setting {
	return []setting{
		newSetting("retention.records", "7d", duration(time.Minute, 3650*day, func(c *Config) *time.Duration { return &c.Retention.Records }),
			"How long records of invocations are kept."),
		newSetting("retention.logs", "3d", duration(time.Minute, 3650*day, func(c *Config) *time.Duration { return &c.Retention.Logs }),
			"How long functions' logs are kept."),
		newSetting("retention.log_mb", "2048", size(nimbus.MiB, 16, 1<<30, func(c *Config) *int64 { return &c.Retention.LogBytes }),
			"What functions' logs may take together; the oldest go first."),
		newSetting("retention.versions", "10", count(1, 10_000, func(c *Config) *int { return &c.Retention.Versions }),
			"Versions kept of each function, published ones aside."),
	}
}
