package invoke

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/pool"
	"nimbus/internal/wire"
)

// The status codes of a Result.
const (
	statusOK          = 200
	statusFailed      = 500
	statusTimeout     = 504
	statusOutOfMemory = 507
)

// verdict is what a call came to, and what that means for everyone concerned.
type verdict struct {
	status    nimbus.InvocationStatus
	instance  pool.Verdict
	code      int // of the Result
	body      []byte
	message   string
	errorType string
	stack     []string
	log       []string // lines of the platform's own
	err       error    // the platform's failure; then there is no Result
}

// judge maps an execution to its verdict.
func (c *call) judge(e execution) verdict {
	if e.err == nil {
		return c.judgeOutcome(e.outcome)
	}
	return c.judgeError(e)
}

// judgeError maps what the driver came back with instead of an outcome.
func (c *call) judgeError(e execution) verdict {
	var exit *driver.ExitError
	settings := &c.target.Version.Settings
	switch {
	case c.refused != nil && errors.Is(e.err, c.refused):
		return refusedVerdict(e.err)
	case e.timedOut:
		return failure(statusTimeout, nimbus.ErrorTypeTimeout,
			fmt.Sprintf("the function timed out after %.2f s", settings.Timeout.Seconds()))
	case errors.As(e.err, &exit) && exit.Exit.OutOfMemory:
		return failure(statusOutOfMemory, nimbus.ErrorTypeOutOfMemory, overMemory(settings))
	case errors.As(e.err, &exit):
		return failure(statusFailed, nimbus.ErrorTypeExited, exit.Error())
	case errors.Is(e.err, wire.ErrProtocol):
		return failure(statusFailed, nimbus.ErrorTypeProtocol, e.err.Error())
	}
	return verdict{
		status: nimbus.InvocationFailed, instance: pool.Broken, errorType: nimbus.ErrorTypePlatform,
		message: "the platform failed to run the call",
		err:     nimbus.WrapError(nimbus.CodeInternal, e.err, "the call could not be run"),
	}
}

// judgeOutcome maps what the runtime answered.
func (c *call) judgeOutcome(o driver.Outcome) verdict {
	limits := &c.service.config.Limits
	switch {
	case o.Resp.OverMemory && !o.Resp.OK:
		v := failure(statusOutOfMemory, nimbus.ErrorTypeOutOfMemory, o.Resp.Message)
		v.instance = state(o.Resp)
		return v.withStack(o.Resp.Stack)
	case !o.Resp.OK:
		v := failure(statusFailed, o.Resp.Type, o.Resp.Message)
		v.instance = state(o.Resp)
		return v.withStack(o.Resp.Stack)
	case o.Resp.Streamed:
		return verdict{status: nimbus.InvocationSuccess, instance: state(o.Resp), code: statusOK}
	case int64(len(o.Result)) > limits.Response:
		return failure(statusFailed, nimbus.ErrorTypeTooLarge,
			fmt.Sprintf("the result has %d bytes; at most %d are taken", len(o.Result), limits.Response))
	case !json.Valid(o.Result):
		return failure(statusFailed, nimbus.ErrorTypeProtocol, "the runtime answered with what is not JSON")
	}
	return verdict{status: nimbus.InvocationSuccess, instance: state(o.Resp), code: statusOK, body: o.Result}
}

// state says in what state a runtime is that has answered.
func state(r wire.RespMeta) pool.Verdict {
	if r.Ending {
		return pool.Broken
	}
	return pool.Healthy
}

// maxErrorType bounds the bytes of an error's type: the runtime says it, and records, answers and log take it.
const maxErrorType = 256

// failure is the verdict on a call after which its instance is of no more use.
func failure(code int, errorType, message string) verdict {
	errorType = cutText(errorType, maxErrorType)
	v := verdict{
		status: nimbus.InvocationFailed, instance: pool.Broken, code: code, errorType: errorType, message: message,
		log: []string{errorType + ": " + message},
	}
	if code == statusTimeout {
		v.status = nimbus.InvocationTimeout
	}
	return v
}

// withStack adds a stack to a failure and to its log, once: many a stack ends with the message anyway.
func (v verdict) withStack(stack []string) verdict {
	v.stack = stack
	if n := len(stack); n > 0 && v.message != "" && strings.HasSuffix(stack[n-1], v.message) {
		v.log = stack
	} else {
		v.log = append(v.log, stack...)
	}
	return v
}

// refusedVerdict is that on a stream whose writer failed. The runtime has agreed to stop, unless it is stuck.
func refusedVerdict(err error) verdict {
	v := verdict{status: nimbus.InvocationCancelled, message: "the stream was cancelled: its reader went away",
		err: fmt.Errorf("stream the result: %w", err)}
	if errors.Is(err, wire.ErrStuck) {
		v.instance = pool.Broken
	}
	return v
}

// initVerdict is that on code that could not be initialised.
func initVerdict(e *driver.InitError, t *Target) verdict {
	v := failure(statusFailed, e.Type, e.Message)
	if e.Type == nimbus.ErrorTypeOutOfMemory {
		v = failure(statusOutOfMemory, e.Type, overMemory(&t.Version.Settings))
	}
	return v.withStack(e.Stack)
}

func overMemory(s *nimbus.Settings) string {
	return fmt.Sprintf("the function was over its memory of %d MB", s.Memory/nimbus.MiB)
}
