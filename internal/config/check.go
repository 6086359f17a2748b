package config

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"nimbus"
)

// check finds what is wrong between settings. A setting that is wrong by itself is not looked at again.
func (l *loader) check(c *Config) {
	if l.usable("server.listen", "server.insecure", "auth.enabled") &&
		!c.Server.Insecure && !c.Auth.Enabled && !isLoopback(c.Server.Listen) {
		l.problem("server.listen", fmt.Errorf("%s can be reached from elsewhere: set auth.enabled to ask for API keys, "+
			"or server.insecure (--insecure) to let everybody do everything", c.Server.Listen))
	}
	if l.usable("server.tls.cert_file", "server.tls.key_file") {
		switch cert, key := c.Server.TLS.CertFile != "", c.Server.TLS.KeyFile != ""; {
		case cert && !key:
			l.problem("server.tls.cert_file", errors.New("needs server.tls.key_file as well"))
		case key && !cert:
			l.problem("server.tls.key_file", errors.New("needs server.tls.cert_file as well"))
		}
	}
	if l.usable("telemetry.otlp.endpoint", "telemetry.otlp.insecure") && c.Telemetry.OTLP.Insecure &&
		strings.HasPrefix(c.Telemetry.OTLP.Endpoint, "https://") {
		l.problem("telemetry.otlp.insecure", errors.New("contradicts telemetry.otlp.endpoint, which is https"))
	}
	m := &c.Limits
	l.ascending("limits.memory_min_mb", m.MemoryMin, "limits.memory_default_mb", m.Memory)
	l.ascending("limits.memory_default_mb", m.Memory, "limits.memory_max_mb", m.MemoryMax)
	l.ascending("limits.timeout_min", int64(m.TimeoutMin), "scheduler.default_timeout", int64(m.Timeout))
	l.ascending("scheduler.default_timeout", int64(m.Timeout), "limits.timeout_max", int64(m.TimeoutMax))
	l.ascending("limits.tmp_default_mb", m.Tmp, "limits.tmp_max_mb", m.TmpMax)
	l.ascending("limits.archive_mb", m.Archive, "limits.unpacked_mb", m.Unpacked)
	l.ascending("limits.log_line_kb", m.LogLine, "limits.log_call_kb", m.LogCall)
	l.checkStocks(c)
}

// checkStocks holds the sizes of runtimes' functions to what a function may ask for.
func (l *loader) checkStocks(c *Config) {
	const key = "pool.runtimes"
	for i, r := range c.Pool.Runtimes {
		if l.usable(key, "limits.memory_min_mb", "limits.memory_max_mb") && r.Memory != 0 &&
			(r.Memory < c.Limits.MemoryMin || r.Memory > c.Limits.MemoryMax) {
			l.problem(key, fmt.Errorf("[%d] memory_mb must be %d to %d, as limits.memory_min_mb and limits.memory_max_mb say",
				i, c.Limits.MemoryMin/nimbus.MiB, c.Limits.MemoryMax/nimbus.MiB))
		}
		if l.usable(key, "limits.cpu_max_milli") && r.CPUMilli > c.Limits.CPUMax {
			l.problem(key, fmt.Errorf("[%d] vcpus must not be above %g, as limits.cpu_max_milli says", i, float64(c.Limits.CPUMax)/1000))
		}
	}
}

// ascending wants one setting not to be above another. The one that somebody set is blamed.
func (l *loader) ascending(low string, lowValue int64, high string, highValue int64) {
	switch {
	case !l.usable(low, high) || lowValue <= highValue:
	case l.origins[low] == "default":
		l.problem(high, fmt.Errorf("must not be below %s", low))
	default:
		l.problem(low, fmt.Errorf("must not be above %s", high))
	}
}

// usable reports whether every one of the keys got a value.
func (l *loader) usable(keys ...string) bool {
	for _, key := range keys {
		if _, ok := l.origins[key]; !ok {
			return false
		}
	}
	return true
}

// isLoopback reports whether an address can only be reached from this machine.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
