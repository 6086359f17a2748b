package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Telemetry says what is told to others about what goes on.
type Telemetry struct {
	ServiceName string
	SampleRatio float64 // of the traces that begin here
	OTLP        OTLP
}

// OTLP is a collector of traces.
type OTLP struct {
	Endpoint string // a URL, or host:port; "" = nothing is exported
	Protocol string
	Headers  map[string]string
	Insecure bool // a host:port is spoken to without TLS
}

// The protocols of OTLP.
const (
	otlpHTTP = "http/protobuf"
	otlpGRPC = "grpc"
)

func telemetrySettings() []setting {
	return []setting{
		newSetting("telemetry.service_name", "nimbus", nonempty("a name", func(c *Config) *string { return &c.Telemetry.ServiceName }),
			"What traces call this installation."),
		newSetting("telemetry.sample_ratio", "1", ratio(func(c *Config) *float64 { return &c.Telemetry.SampleRatio }),
			"The share of traces that is recorded, of those that begin here. One that a caller began is recorded if the caller records it."),
		newSetting("telemetry.otlp.endpoint", "", endpoint(func(c *Config) *string { return &c.Telemetry.OTLP.Endpoint }),
			"Where traces are sent by OTLP. Without it none are recorded."),
		newSetting("telemetry.otlp.protocol", otlpHTTP, choice(func(c *Config) *string { return &c.Telemetry.OTLP.Protocol }, otlpHTTP, otlpGRPC),
			"How the collector is spoken to; it has a port for each, usually 4318 and 4317."),
		newSetting("telemetry.otlp.headers", "", headers(func(c *Config) *map[string]string { return &c.Telemetry.OTLP.Headers }),
			"Headers of each export, such as the collector's key.").secret(),
		newSetting("telemetry.otlp.insecure", "false", boolean(func(c *Config) *bool { return &c.Telemetry.OTLP.Insecure }),
			"Speak to an endpoint that is given as host:port without TLS. A URL says so itself: http or https."),
	}
}

// Address is the collector's host:port, and the path of a URL that has one.
func (o OTLP) Address() (address, path string) {
	u, err := parseEndpoint(o.Endpoint)
	if err != nil {
		return "", "" // a loaded Config has none that is wrong
	}
	return u.Host, strings.TrimSuffix(u.Path, "/")
}

// Plain reports whether the collector is spoken to without TLS.
func (o OTLP) Plain() bool {
	return strings.HasPrefix(o.Endpoint, "http://") || !strings.Contains(o.Endpoint, "://") && o.Insecure
}

// parseEndpoint reads a URL or host:port. The host of what it returns has a port.
func parseEndpoint(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		s = "//" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, err
	}
	plainAddress := u.Scheme == "" && u.Port() != "" && u.Path == ""
	if u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		!plainAddress && u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("neither a URL nor host:port")
	}
	if port := u.Port(); port == "" {
		u.Host = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, errors.New("no port")
	}
	return u, nil
}

func endpoint(field func(*Config) *string) kind {
	const bound = "a URL such as http://collector:4318, or host:port"
	return kind{bound, func(c *Config, raw any) error {
		s, ok := raw.(string)
		if ok && s != "" {
			_, err := parseEndpoint(s)
			ok = err == nil
		}
		if !ok {
			return mustBe(bound, raw)
		}
		*field(c) = s
		return nil
	}, func(c *Config) string { return *field(c) }}
}

// ratio is a number from 0 to 1.
func ratio(field func(*Config) *float64) kind {
	const bound = "0 to 1"
	return kind{bound, func(c *Config, raw any) error {
		f, err := strconv.ParseFloat(fmt.Sprint(raw), 64)
		if err != nil || !(f >= 0 && f <= 1) { // NaN is neither
			return mustBe(bound, raw)
		}
		*field(c) = f
		return nil
	}, func(c *Config) string { return strconv.FormatFloat(*field(c), 'g', -1, 64) }}
}

// headers is a list such as name=value, other=value. The error of a wrong one does not show it.
func headers(field func(*Config) *map[string]string) kind {
	const bound = "name=value pairs with commas between"
	return kind{bound, func(c *Config, raw any) error {
		s, ok := raw.(string)
		if !ok {
			return errors.New("must be " + bound)
		}
		var found map[string]string
		for pair := range strings.SplitSeq(s, ",") {
			if strings.TrimSpace(pair) == "" {
				continue
			}
			name, value, ok := strings.Cut(pair, "=")
			name, value = strings.TrimSpace(name), strings.TrimSpace(value)
			if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
				return errors.New("must be " + bound)
			}
			if found == nil {
				found = make(map[string]string)
			}
			found[strings.ToLower(name)] = value
		}
		*field(c) = found
		return nil
	}, func(c *Config) string {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(*field(c))) {
			pairs = append(pairs, name+"="+(*field(c))[name])
		}
		return strings.Join(pairs, ",")
	}}
}

// nonempty is a text that is there.
func nonempty(bound string, field func(*Config) *string) kind {
	k := text(bound, field)
	return kind{bound, func(c *Config, raw any) error {
		if raw == "" {
			return mustBe(bound, raw)
		}
		return k.set(c, raw)
	}, k.show}
}
