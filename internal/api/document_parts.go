package api

import (
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"nimbus"
	"nimbus/internal/problem"
	"nimbus/internal/transport"
)

// bodyText describes the two shapes a function comes in.
const bodyText = "JSON, or multipart/form-data with the same JSON in a part \"function\" (or its fields in parts of their own) " +
	"and the code, a zip or one file of source or program, in a part \"code\"."

// buildText says what becomes of code that can't run as it is.
const buildText = "Code that has to be compiled is built first, and that goes on when the client leaves: the answer comes when it has " +
	"ended, and status and status_message say what came of it. Until then, or when it fails, the last version serves. "

func preferParam() *huma.Param {
	return &huma.Param{Name: "Prefer", In: "header", Schema: text(),
		Description: "respond-async asks for an answer at once when something has to be compiled."}
}

// withAccepted adds the answer to a client that does not wait for a build.
func withAccepted(reg huma.Registry, responses map[string]*huma.Response) map[string]*huma.Response {
	r := jsonAnswer[functionJSON](reg, "The function as it is, while the new version is being built.")
	responses["202"] = withHeader(r, "Preference-Applied", respondAsync, huma.TypeString)
	return responses
}

// functionBody describes them as schemas.
func functionBody(reg huma.Registry) *huma.RequestBody {
	input := schemaOf[functionInput](reg)
	form := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{
		functionPart: input,
		codePart:     {Type: huma.TypeString, Format: "binary", Description: "A zip, or one file: source, or a program."},
	}}
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		mediaJSON: {Schema: input},
		mediaForm: {Schema: form, Encoding: map[string]*huma.Encoding{functionPart: {ContentType: mediaJSON}}},
	}}
}

// resultJSON documents the answer of an invocation, which writeResult builds by hand.
type resultJSON struct {
	RequestID    string   `json:"request_id" doc:"The invocation's id; that of X-Request-Id."`
	StatusCode   int      `json:"status_code" enum:"200,500,504,507"`
	Body         anyJSON  `json:"body" doc:"What the handler returned."`
	Error        *string  `json:"error"`
	ErrorType    *string  `json:"error_type"`
	DurationMS   millis   `json:"duration_ms" doc:"In user code; with microsecond decimals."`
	ColdStart    bool     `json:"cold_start"`
	InitMS       millis   `json:"init_ms" doc:"0 on a warm start."`
	BilledTimeMS millis   `json:"billed_time_ms"`
	MemoryUsedMB *float64 `json:"memory_used_mb" doc:"The peak of the call; of its instance where X-Nimbus-Memory-Scope says so; null when not known."`
	CPUMS        *millis  `json:"cpu_ms" doc:"CPU of all the function's processes during the call; null when not known."`
	Version      int64    `json:"version"`
	AliasUsed    *string  `json:"alias_used"`
	Logs         []string `json:"logs,omitempty" doc:"When they were asked for."`
}

func withHeader(r *huma.Response, name, description, kind string) *huma.Response {
	if r.Headers == nil {
		r.Headers = map[string]*huma.Header{}
	}
	r.Headers[name] = &huma.Header{Description: description, Schema: &huma.Schema{Type: kind}}
	return r
}

// withLocation adds the header that says where what was made is.
func withLocation(r *huma.Response) *huma.Response {
	return withHeader(r, "Location", "Where it is.", huma.TypeString)
}

// withOutcome adds the headers of a call.
func withOutcome(r *huma.Response) *huma.Response {
	withHeader(r, transport.HeaderColdStart, "Whether an instance had to be started.", huma.TypeBoolean)
	withHeader(r, transport.HeaderVersion, "The version that ran.", huma.TypeInteger)
	withHeader(r, transport.HeaderMemory, "instance, when the peak memory is not the call's alone.", huma.TypeString)
	return withHeader(r, transport.HeaderDuration, "The time in user code; a trailer when streamed.", huma.TypeNumber)
}

// withEvents adds the streamed form of an answer.
func withEvents(r *huma.Response) *huma.Response {
	r.Content[mediaEvents] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Description: "Server-Sent Events."}}
	return r
}

// functionURLs documents the data plane, which the gateway serves.
func functionURLs(reg huma.Registry) []*huma.Operation {
	const text = "The request is handed to the function as an event of AWS's payload format 2.0, or as its JSON body when the " +
		"function's event_format is raw. A result {statusCode, headers, cookies, body, isBase64Encoded} becomes the response; any other " +
		"value is JSON. A generator's items are sent as they come. Every method is taken, and any path may follow."
	var out []*huma.Operation
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} {
		out = append(out, &huma.Operation{
			OperationID: "call-url-" + strings.ToLower(method), Method: method, Path: transport.GatewayPrefix + "{namespace}/{name}", Tags: []string{tagInvocations},
			Summary: "Call a function over plain HTTP", Description: text,
			Parameters: []*huma.Param{pathParam("namespace", "The function's namespace."), pathParam("name", "Its name.")},
			Responses:  answers(reg, http.StatusOK, withOutcome(&huma.Response{Description: "Whatever the function answers."}), urlCodes()...),
		})
	}
	return out
}

func urlCodes() []nimbus.Code {
	return refusals(nimbus.CodeNotFound, nimbus.CodeConflict, nimbus.CodeTooLarge, nimbus.CodeTooManyRequests,
		problem.CodeFunctionError, problem.CodeBadResponse, problem.CodeFunctionTimeout)
}
