package api

import (
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"nimbus"
	"nimbus/internal/obs"
)

// The groups of operations.
const (
	tagFunctions   = "functions"
	tagInvocations = "invocations"
	tagServer      = "server"
)

// operations lists everything the API does.
func (a *api) operations(reg huma.Registry) []operation {
	return slices.Concat(a.functionOperations(reg), a.invocationOperations(reg), a.whyOperations(reg), a.serverOperations(reg),
		a.poolOperations(reg), a.settingsOperations(reg), a.openOperations(reg))
}

// refusals are the codes any operation may refuse with.
func refusals(codes ...nimbus.Code) []nimbus.Code {
	return append(codes, nimbus.CodeBadRequest, nimbus.CodeInvalid, nimbus.CodeUnauthenticated, nimbus.CodeForbidden,
		nimbus.CodeInternal, nimbus.CodeUnavailable)
}

// writing are those of operations with a body that is stored.
func writing(codes ...nimbus.Code) []nimbus.Code {
	return refusals(append(codes, nimbus.CodeTooLarge, nimbus.CodeUnsupportedMedia, nimbus.CodeConflict, nimbus.CodeInsufficientStorage)...)
}

func functionParam() *huma.Param { return pathParam("id", "The function's id or name.") }

func (a *api) functionOperations(reg huma.Registry) []operation {
	one := slices.Concat([]*huma.Param{functionParam()}, namespaceParams())
	return []operation{{
		doc: huma.Operation{
			OperationID: "create-function", Method: http.MethodPost, Path: "/api/v1/functions", Tags: []string{tagFunctions},
			Summary: "Create a function", Description: buildText + bodyText,
			Parameters: append(namespaceParams(), preferParam()), RequestBody: functionBody(reg),
			Responses: withAccepted(reg, answers(reg, http.StatusCreated, withLocation(jsonAnswer[functionJSON](reg, "The new function.")),
				writing(nimbus.CodeNotFound, nimbus.CodeTooManyRequests)...)),
		},
		handle: a.createFunction,
	}, {
		doc: huma.Operation{
			OperationID: "list-functions", Method: http.MethodGet, Path: "/api/v1/functions", Tags: []string{tagFunctions},
			Summary: "List functions, in the order of their names",
			Parameters: slices.Concat(namespaceParams(), []*huma.Param{
				queryParam("name", "Only names that begin with this, whatever the case.", text()),
				queryParam(tagsParam, "Only functions with this tag; may be repeated, and then all are wanted.",
					&huma.Schema{Type: huma.TypeArray, Items: text()}),
				queryParam("runtime", "Only functions of this runtime.", text()),
				queryParam("status", "Only functions of this status.", oneOf(nimbus.Statuses())),
			}, pageParams()),
			Responses: answers(reg, http.StatusOK, jsonAnswer[listJSON[functionJSON]](reg, "One page."), refusals(nimbus.CodeNotFound)...),
		},
		handle: a.listFunctions,
	}, {
		doc: huma.Operation{
			OperationID: "get-function", Method: http.MethodGet, Path: "/api/v1/functions/{id}", Tags: []string{tagFunctions},
			Summary: "Show a function", Parameters: one,
			Responses: answers(reg, http.StatusOK, jsonAnswer[functionJSON](reg, "The function."), refusals(nimbus.CodeNotFound)...),
		},
		handle: a.getFunction,
	}, {
		doc: huma.Operation{
			OperationID: "update-function", Method: http.MethodPut, Path: "/api/v1/functions/{id}", Tags: []string{tagFunctions},
			Summary:     "Change a function",
			Description: "Only what is given changes. A change of code or settings makes the next version, and calls go to it at once. " + buildText + bodyText,
			Parameters:  append(slices.Clone(one), preferParam()), RequestBody: functionBody(reg),
			Responses: withAccepted(reg, answers(reg, http.StatusOK, jsonAnswer[functionJSON](reg, "The changed function."), writing(nimbus.CodeNotFound, nimbus.CodeTooManyRequests)...)),
		},
		handle: a.updateFunction,
	}, {
		doc: huma.Operation{
			OperationID: "delete-function", Method: http.MethodDelete, Path: "/api/v1/functions/{id}", Tags: []string{tagFunctions},
			Summary: "Delete a function and all its versions", Parameters: one,
			Responses: answers(reg, http.StatusNoContent, &huma.Response{Description: "It is gone."}, refusals(nimbus.CodeNotFound)...),
		},
		handle: a.deleteFunction,
	}, {
		doc: huma.Operation{
			OperationID: "get-logs", Method: http.MethodGet, Path: "/api/v1/functions/{id}/logs", Tags: []string{tagFunctions},
			Summary:     "Read what a function printed",
			Description: "Oldest first. With follow=true, every line as it is printed, as Server-Sent Events until the client leaves.",
			Parameters: slices.Concat(one, []*huma.Param{
				queryParam("invocation", "Only lines of the invocation with this id.", text()),
				queryParam("stream", "Only lines of this stream.", oneOf(obs.LogStreams())),
				queryParam("contains", "Only lines with this text, whatever the case of its ASCII letters. A bounded part of the log is "+
					"searched at a time: a page may be short, or empty, and has a next_cursor as long as there is more to search.", text()),
				queryParam("follow", "Stay, and send lines as they are printed.", boolean()),
				queryParam("tail", "Begin with the last so many lines. Not with cursor.", count(obs.MaxLogLimit)),
			}, periodParams(), pageParams()),
			Responses: answers(reg, http.StatusOK, withEvents(jsonAnswer[listJSON[logLineJSON]](reg, "One page, or the stream of lines.")),
				refusals(nimbus.CodeNotFound)...),
		},
		handle: a.logs,
	}}
}

func (a *api) invocationOperations(reg huma.Registry) []operation {
	filters := slices.Concat([]*huma.Param{
		queryParam("status", "Only invocations of this status.", oneOf(nimbus.InvocationStatuses())),
	}, periodParams(), pageParams())
	list := answers(reg, http.StatusOK, jsonAnswer[listJSON[invocationJSON]](reg, "One page, without inputs and outputs."),
		refusals(nimbus.CodeNotFound)...)
	return []operation{{
		doc: huma.Operation{
			OperationID: "invoke-function", Method: http.MethodPost, Path: "/api/v1/functions/{id}/invoke", Tags: []string{tagInvocations},
			Summary: "Call a function and wait for the outcome",
			Description: "The body is the event: JSON, whatever its Content-Type; nothing is null. The answer is 200 whenever user code reached " +
				"an outcome, and status_code says which: 200, 500 (an exception), 504 (a time-out), 507 (over its memory). A generator's items " +
				"become an array; with Accept: text/event-stream each is sent as it comes, and the outcome last, as the event \"result\".",
			Parameters: slices.Concat([]*huma.Param{functionParam()}, namespaceParams(), []*huma.Param{
				queryParam("qualifier", "A version; $LATEST when absent.", text()),
				queryParam("logs", "Answer with the call's log lines too.", boolean()),
				{Name: "X-Nimbus-Log", In: "header", Description: "tail is logs=true.", Schema: text()},
			}),
			RequestBody: &huma.RequestBody{Description: "The event.", Content: content(mediaJSON, &huma.Schema{Description: "Any JSON value."})},
			Responses: answers(reg, http.StatusOK, withOutcome(withEvents(jsonAnswer[resultJSON](reg, "User code reached an outcome."))),
				refusals(nimbus.CodeNotFound, nimbus.CodeConflict, nimbus.CodeTooLarge, nimbus.CodeTooManyRequests)...),
		},
		handle: a.invoke,
	}, {
		doc: huma.Operation{
			OperationID: "list-invocations", Method: http.MethodGet, Path: "/api/v1/invocations", Tags: []string{tagInvocations},
			Summary:    "List invocations, newest first",
			Parameters: slices.Concat(namespaceParams(), []*huma.Param{queryParam("function", "Only those of the function with this id or name.", text())}, filters),
			Responses:  list,
		},
		handle: a.listInvocations,
	}, {
		doc: huma.Operation{
			OperationID: "list-function-invocations", Method: http.MethodGet, Path: "/api/v1/functions/{id}/invocations", Tags: []string{tagInvocations},
			Summary:    "List a function's invocations, newest first",
			Parameters: slices.Concat([]*huma.Param{functionParam()}, namespaceParams(), filters),
			Responses:  list,
		},
		handle: a.listFunctionInvocations,
	}, {
		doc: huma.Operation{
			OperationID: "get-invocation", Method: http.MethodGet, Path: "/api/v1/invocations/{id}", Tags: []string{tagInvocations},
			Summary: "Show an invocation", Parameters: []*huma.Param{pathParam("id", "The invocation's id.")},
			Responses: answers(reg, http.StatusOK, jsonAnswer[invocationJSON](reg, "The invocation."), refusals(nimbus.CodeNotFound)...),
		},
		handle: a.getInvocation,
	}}
}

func (a *api) serverOperations(reg huma.Registry) []operation {
	bytes := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	return []operation{{
		doc: huma.Operation{
			OperationID: "list-runtimes", Method: http.MethodGet, Path: "/api/v1/runtimes", Tags: []string{tagServer},
			Summary:   "List what functions can be written in and what they run in",
			Responses: answers(reg, http.StatusOK, jsonAnswer[runtimesJSON](reg, "The runtimes found, and what each driver can do here."), refusals()...),
		},
		handle: a.listRuntimes,
	}, {
		doc: huma.Operation{
			OperationID: "create-api-key", Method: http.MethodPost, Path: "/api/v1/apikeys", Tags: []string{tagServer},
			Summary: "Create an API key", RequestBody: jsonBody[apiKeyInput](reg),
			Responses: answers(reg, http.StatusCreated, withLocation(jsonAnswer[apiKeyJSON](reg, "The key, and this once its secret.")), writing()...),
		},
		handle: a.createAPIKey,
	}, {
		doc: huma.Operation{
			OperationID: "list-api-keys", Method: http.MethodGet, Path: "/api/v1/apikeys", Tags: []string{tagServer},
			Summary: "List API keys, oldest first", Parameters: pageParams(),
			Responses: answers(reg, http.StatusOK, jsonAnswer[listJSON[apiKeyJSON]](reg, "One page, without secrets."), refusals()...),
		},
		handle: a.listAPIKeys,
	}, {
		doc: huma.Operation{
			OperationID: "delete-api-key", Method: http.MethodDelete, Path: "/api/v1/apikeys/{id}", Tags: []string{tagServer},
			Summary: "Revoke an API key", Parameters: []*huma.Param{pathParam("id", "The key's id or name.")},
			Responses: answers(reg, http.StatusNoContent, &huma.Response{Description: "It opens nothing anymore."}, refusals(nimbus.CodeNotFound)...),
		},
		handle: a.deleteAPIKey,
	}, {
		doc: huma.Operation{
			OperationID: "backup", Method: http.MethodGet, Path: "/api/v1/backup", Tags: []string{tagServer},
			Summary:   "Copy the running installation out",
			Responses: answers(reg, http.StatusOK, &huma.Response{Description: "The backup.", Content: content(mediaBytes, bytes)}, refusals()...),
		},
		handle: a.backup,
	}, {
		doc: huma.Operation{
			OperationID: "restore", Method: http.MethodPost, Path: "/api/v1/restore", Tags: []string{tagServer},
			Summary:     "Replace the installation by a backup",
			Description: "All of it is checked before anything changes. Then running calls end, and new ones wait until the server goes on with it.",
			RequestBody: &huma.RequestBody{Required: true, Description: "A backup.", Content: content(mediaBytes, bytes)},
			Responses:   answers(reg, http.StatusAccepted, jsonAnswer[restoreJSON](reg, "It is whole; started_at of /health changes when the server has taken it."), writing()...),
		},
		handle: a.restore,
	}, {
		doc: huma.Operation{
			OperationID: "get-metrics", Method: http.MethodGet, Path: "/metrics", Tags: []string{tagServer},
			Summary:   "Read the metrics, for Prometheus",
			Responses: answers(reg, http.StatusOK, &huma.Response{Description: "The metrics.", Content: content("text/plain", text())}, refusals()...),
		},
		handle: a.metrics,
	}}
}

// openOperations need no key: what tells of health, and what describes the API.
func (a *api) openOperations(reg huma.Registry) []operation {
	return []operation{
		openOperation("get-health", "/health", "Tell how the server is",
			answers(reg, http.StatusOK, jsonAnswer[healthJSON](reg, "It answers; status says whether it serves calls.")), a.health),
		openOperation("get-liveness", "/health/live", "Tell that the server need not be restarted",
			answers(reg, http.StatusOK, jsonAnswer[healthJSON](reg, "It lives.")), a.live),
		openOperation("get-readiness", "/health/ready", "Tell whether calls can be served",
			answers(reg, http.StatusOK, jsonAnswer[healthJSON](reg, "They can."), nimbus.CodeUnavailable), a.ready),
		openOperation("get-openapi", "/openapi.json", "Read this document",
			answers(reg, http.StatusOK, &huma.Response{Description: "OpenAPI 3.1.",
				Content: content(mediaOpenAPI, &huma.Schema{Type: huma.TypeObject})}), a.openAPI),
		openOperation("get-reference", "/docs", "Read this document as a page",
			answers(reg, http.StatusOK, &huma.Response{Description: "The page.", Content: content("text/html", text())}), a.reference),
	}
}

func openOperation(id, path, summary string, responses map[string]*huma.Response,
	handle func(http.ResponseWriter, *http.Request, nimbus.Principal) error) operation {
	return operation{
		doc: huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Tags: []string{tagServer}, Summary: summary,
			Security: []map[string][]string{}, Responses: responses},
		access: open,
		handle: handle,
	}
}
