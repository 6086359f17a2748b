package wire

import "encoding/json"

// ContextFile is the variable that names the file in which a program that is not told in other ways finds its
// Context, there before its event is.
const ContextFile = "NIMBUS_CONTEXT_FILE"

// Context is what such a program is told of itself and of its call, as JSON.
type Context struct {
	RequestID       string `json:"request_id"`
	DeadlineMS      int64  `json:"deadline_ms"` // Unix milliseconds
	TraceID         string `json:"trace_id,omitempty"`
	Traceparent     string `json:"traceparent,omitempty"`
	FunctionName    string `json:"function_name"`
	FunctionVersion string `json:"function_version"`
	Namespace       string `json:"namespace"`
	MemoryLimitMB   int64  `json:"memory_limit_mb"`
	ARN             string `json:"invoked_function_arn"`
}

// Context is that of the function's calls, short of what differs between them.
func (m *InitMsg) Context() Context {
	return Context{FunctionName: m.FunctionName, FunctionVersion: m.FunctionVersion, Namespace: m.Namespace,
		MemoryLimitMB: m.MemoryMB, ARN: m.ARN()}
}

// ARN names the function as AWS would.
func (m *InitMsg) ARN() string {
	return "arn:nimbus:lambda:local:" + m.Namespace + ":function:" + m.FunctionName + ":" + m.FunctionVersion
}

// Of returns the JSON of one call's.
func (c Context) Of(call *ExecMeta) ([]byte, error) {
	c.RequestID, c.DeadlineMS, c.TraceID, c.Traceparent = call.RequestID, call.DeadlineMS, call.TraceID, call.Traceparent
	return json.Marshal(c)
}
