package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"nimbus/client"
)

// explain turns an error into one line with the next step.
func (c *cli) explain(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	var unreachable *client.UnreachableError
	if errors.As(err, &unreachable) {
		return explainUnreachable(unreachable)
	}
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	var refusal *client.Problem
	if errors.As(err, &refusal) {
		if step := nextStep(refusal); step != "" {
			return text + "; " + step
		}
	}
	return text
}

func explainUnreachable(err *client.UnreachableError) string {
	cause := innermost(err.Err)
	switch {
	case errors.Is(cause, syscall.ECONNREFUSED) && isLoopback(err.Server):
		return fmt.Sprintf("cannot reach %s: connection refused; start it with `nimbus serve`", err.Server)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Sprintf("cannot reach %s: it does not speak TLS; use http:// instead", err.Server)
	default:
		return fmt.Sprintf("cannot reach %s: %s; name the server with --server or NIMBUS_SERVER", err.Server, cause)
	}
}

// innermost is the cause without the addresses that net wraps around it.
func innermost(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return fmt.Errorf("%s: %s", dns.Name, dns.Err)
	}
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}

func isLoopback(server string) bool {
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// nextStep says what to do about a refusal, where its own words don't.
func nextStep(p *client.Problem) string {
	switch p.Code {
	case client.CodeUnauthenticated:
		return "present a key with --api-key or NIMBUS_API_KEY"
	case client.CodeForbidden:
		return "use a key that has the scope"
	case client.CodeTooManyRequests, client.CodeUnavailable:
		if p.RetryAfter > 0 {
			return fmt.Sprintf("try again in %s", p.RetryAfter.Round(time.Second))
		}
		return "try again soon"
	case client.CodeInsufficientStorage:
		return "make room on the server's disk"
	case client.CodeInternal:
		return fmt.Sprintf("the server's log says more about request %s", p.RequestID)
	}
	return ""
}
