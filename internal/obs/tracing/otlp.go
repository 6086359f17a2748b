package tracing

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/credentials"
)

// Protocol is how OTLP is spoken.
type Protocol string

// The protocols, by the names of the specification.
const (
	ProtocolHTTP Protocol = "http/protobuf"
	ProtocolGRPC Protocol = "grpc"
)

// Protocols lists them.
func Protocols() []Protocol { return []Protocol{ProtocolHTTP, ProtocolGRPC} }

// tracesPath is where a collector takes traces, unless its address says otherwise.
const tracesPath = "/v1/traces"

// Collector is where spans go.
type Collector struct {
	Address  string // host:port
	Path     string // of HTTP; "" = /v1/traces
	Protocol Protocol
	Headers  map[string]string // sent with each export; they may hold credentials
	Insecure bool              // without TLS
}

// NewExporter returns an exporter to the collector. It connects when there is something to send.
func NewExporter(ctx context.Context, c Collector) (sdktrace.SpanExporter, error) {
	switch c.Protocol {
	case ProtocolHTTP:
		options := []otlptracehttp.Option{otlptracehttp.WithEndpoint(c.Address), otlptracehttp.WithHeaders(c.Headers),
			otlptracehttp.WithURLPath(cmp.Or(c.Path, tracesPath))}
		if c.Insecure {
			options = append(options, otlptracehttp.WithInsecure())
		}
		return otlptracehttp.New(ctx, options...)
	case ProtocolGRPC:
		options := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(c.Address), otlptracegrpc.WithHeaders(c.Headers)}
		if c.Insecure {
			options = append(options, otlptracegrpc.WithInsecure())
		} else {
			options = append(options, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})))
		}
		return otlptracegrpc.New(ctx, options...)
	}
	return nil, fmt.Errorf("the protocol %q is none of OTLP's", c.Protocol)
}
