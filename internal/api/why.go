package api

import (
	"math"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"nimbus"
	"nimbus/internal/invoke/why"
)

// whyJSON explains an invocation.
type whyJSON struct {
	RequestID    string                  `json:"request_id" doc:"The invocation's id."`
	Namespace    string                  `json:"namespace"`
	FunctionName string                  `json:"function_name"`
	Version      int64                   `json:"version"`
	Status       nimbus.InvocationStatus `json:"status" enum:"pending,running,success,failed,timeout,cancelled"`
	TotalMS      millis                  `json:"total_ms" doc:"From the request's arrival to the answer written; until now, while it goes on."`
	Steps        []whyStepJSON           `json:"steps" doc:"In the order of time; together they are the total."`
	Start        string                  `json:"start" doc:"How it got its instance, and why so."`
	Limits       []whyLimitJSON          `json:"limits" doc:"The bounds it met."`
	Suggestion   string                  `json:"suggestion" doc:"The one thing most worth trying."`
}

type whyStepJSON struct {
	Name   why.StepName `json:"name" enum:"route,admit,hold,claim,attach,import,run,write,other"`
	TookMS millis       `json:"took_ms"`
	Share  float64      `json:"share" doc:"Of the total, 0 to 1."`
}

type whyLimitJSON struct {
	Name   why.LimitName `json:"name" enum:"max_concurrency,instances,timeout_sec,memory_mb,limits.response_kb,limits.init_timeout,limits.log_call_kb"`
	Detail string        `json:"detail"`
}

func newWhyJSON(v *nimbus.Invocation, r *why.Report) whyJSON {
	out := whyJSON{RequestID: v.ID.String(), Namespace: v.Namespace, FunctionName: v.FunctionName, Version: v.Version,
		Status: v.Status, TotalMS: newMillis(r.Total), Steps: make([]whyStepJSON, len(r.Steps)), Start: r.Start,
		Limits: make([]whyLimitJSON, len(r.Limits)), Suggestion: r.Suggestion}
	for i, s := range r.Steps {
		out.Steps[i] = whyStepJSON{Name: s.Name, TookMS: newMillis(s.Took), Share: math.Round(s.Share*1e4) / 1e4}
	}
	for i, l := range r.Limits {
		out.Limits[i] = whyLimitJSON{Name: l.Name, Detail: l.Detail}
	}
	return out
}

func (a *api) whyOperations(reg huma.Registry) []operation {
	return []operation{{
		doc: huma.Operation{
			OperationID: "explain-invocation", Method: http.MethodGet, Path: "/api/v1/invocations/{id}/why", Tags: []string{tagInvocations},
			Summary:     "Explain an invocation",
			Description: "Where its time went, which bounds it met, and one suggestion.",
			Parameters:  []*huma.Param{pathParam("id", "The invocation's id.")},
			Responses:   answers(reg, http.StatusOK, jsonAnswer[whyJSON](reg, "The explanation."), refusals(nimbus.CodeNotFound)...),
		},
		handle: a.explainInvocation,
	}}
}

func (a *api) explainInvocation(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	id, err := invocationID(r)
	if err != nil {
		return err
	}
	v, report, err := a.Invocations.Why(r.Context(), p, id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, newWhyJSON(v, &report))
}
