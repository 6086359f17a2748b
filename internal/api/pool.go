package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nimbus"
	"nimbus/internal/pool"
)

// Pool shows the instances there are.
type Pool interface {
	Survey(ctx context.Context, p nimbus.Principal, page nimbus.Page) (pool.Survey, error)
}

// poolsJSON is the instances of the server at one moment.
type poolsJSON struct {
	Time       time.Time      `json:"time" doc:"When it was so, by the server's clock."`
	Held       int            `json:"held_calls" doc:"Calls that wait for an instance."`
	Pools      []poolJSON     `json:"pools" doc:"The instances of each runtime."`
	Instances  []instanceJSON `json:"instances" doc:"One page of instances, oldest first."`
	NextCursor string         `json:"next_cursor,omitempty" doc:"Asks for the next page of instances; absent on the last."`
}

type poolJSON struct {
	Runtime    string         `json:"runtime"`
	Driver     string         `json:"driver"`
	MinWarm    int            `json:"min_warm"`
	TargetWarm int            `json:"target_warm"`
	MaxTotal   int            `json:"max_total"`
	Blanks     string         `json:"blanks" enum:"always,when_used" doc:"When instances without code are kept: always, or while there is a function of the runtime."`
	MemoryMB   int64          `json:"memory_mb" doc:"The memory of a function that does not say."`
	VCPUs      *float64       `json:"vcpus,omitempty" doc:"The cores of a function that does not say; absent is no limit."`
	Functions  int            `json:"functions" doc:"Functions of the runtime that take calls."`
	Size       int            `json:"size"`
	Warm       int            `json:"warm" doc:"Instances that wait for work, with code or without."`
	Busy       int            `json:"busy" doc:"Instances that run a call."`
	States     map[string]int `json:"states" doc:"How many instances are in each state."`
	Failing    bool           `json:"failing" doc:"The last instance without code could not be started."`
}

type instanceJSON struct {
	ID           string     `json:"id"`
	State        string     `json:"state" enum:"starting,blank,specializing,idle,frozen,leased,stopping"`
	Runtime      string     `json:"runtime"`
	Driver       string     `json:"driver"`
	FunctionID   string     `json:"function_id,omitempty" doc:"Absent while it has no code, as are the next three."`
	FunctionName string     `json:"function_name,omitempty"`
	Namespace    string     `json:"namespace,omitempty"`
	Version      int64      `json:"version,omitempty"`
	StartedAt    time.Time  `json:"started_at"`
	UsedAt       *time.Time `json:"used_at,omitempty" doc:"When its last call ended; absent when it has had none."`
	BusySince    *time.Time `json:"busy_since,omitempty" doc:"When its call began, or the first of several; absent when it runs none."`
	Calls        int        `json:"calls" doc:"Calls that it runs now."`
	Uses         int        `json:"uses" doc:"Calls it has served."`
	MemoryMB     *float64   `json:"memory_mb,omitempty" doc:"What it uses now; absent when it did not say in time, as are the next three."`
	PeakMB       *float64   `json:"memory_peak_mb,omitempty" doc:"The most it has used."`
	CPUMS        *float64   `json:"cpu_ms,omitempty" doc:"Processor time since it started."`
	PIDs         *int       `json:"pids,omitempty" doc:"Processes and threads."`
}

func (a *api) poolOperations(reg huma.Registry) []operation {
	return []operation{{
		doc: huma.Operation{
			OperationID: "list-pools", Method: http.MethodGet, Path: "/api/v1/pools", Tags: []string{tagServer},
			Summary:     "Show the instances there are",
			Description: "Whoever is confined to namespaces sees the instances of their functions only.",
			Parameters:  pageParams(),
			Responses:   answers(reg, http.StatusOK, jsonAnswer[poolsJSON](reg, "The runtimes' pools, and one page of instances."), refusals()...),
		},
		handle: a.listPools,
	}}
}

func (a *api) listPools(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	page, err := pageOf(r)
	if err != nil {
		return err
	}
	survey, err := a.Pool.Survey(r.Context(), p, page)
	if err != nil {
		return err
	}
	out := poolsJSON{Time: survey.Time.UTC(), Held: survey.Held, Pools: []poolJSON{}, Instances: []instanceJSON{}, NextCursor: survey.Instances.Next}
	for i := range survey.Stocks {
		out.Pools = append(out.Pools, newPoolJSON(&survey.Stocks[i]))
	}
	for i := range survey.Instances.Items {
		out.Instances = append(out.Instances, newInstanceJSON(&survey.Instances.Items[i]))
	}
	return writeJSON(w, http.StatusOK, out)
}

func newPoolJSON(s *pool.StockSurvey) poolJSON {
	c := &s.Config
	out := poolJSON{Runtime: s.Runtime, Driver: s.Driver, MinWarm: c.MinWarm, TargetWarm: c.TargetWarm, MaxTotal: c.MaxTotal,
		Blanks: "always", MemoryMB: c.Memory / nimbus.MiB, Functions: s.Functions, States: make(map[string]int), Failing: s.Failing}
	if c.Blanks == pool.BlanksWhenUsed {
		out.Blanks = "when_used"
	}
	if c.CPUMilli > 0 {
		out.VCPUs = new(float64(c.CPUMilli) / 1000)
	}
	for state, n := range s.States {
		out.States[state.String()] = n
		out.Size += n
		if slices.Contains(pool.WarmStates(), state) {
			out.Warm += n
		}
	}
	out.Busy = s.States[pool.Leased]
	return out
}

func newInstanceJSON(in *pool.InstanceSurvey) instanceJSON {
	out := instanceJSON{ID: in.ID, State: in.State.String(), Runtime: in.Runtime, Driver: in.Driver, FunctionName: in.FunctionName,
		Namespace: in.Namespace, Version: in.Version, StartedAt: in.StartedAt.UTC(), UsedAt: timeOrNil(in.UsedAt),
		BusySince: timeOrNil(in.BusySince), Calls: in.Calls, Uses: in.Uses}
	if !in.FunctionID.IsZero() {
		out.FunctionID = in.FunctionID.String()
	}
	if in.Stats != nil {
		out.MemoryMB, out.PeakMB = megabytes(in.Stats.Memory), megabytes(in.Stats.MemoryPeak)
		out.CPUMS = new(float64(in.Stats.CPU.Microseconds()) / 1000)
		out.PIDs = new(in.Stats.PIDs)
	}
	return out
}
