package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Pools is the instances of the server at one moment.
type Pools struct {
	Time       time.Time  `json:"time"`       // by the server's clock
	Held       int        `json:"held_calls"` // calls that wait for an instance
	Pools      []Pool     `json:"pools"`
	Instances  []Instance `json:"instances"` // one page, oldest first
	NextCursor string     `json:"next_cursor,omitempty"`
}

// Pool is the instances of one runtime on one driver.
type Pool struct {
	Runtime    string         `json:"runtime"`
	Driver     string         `json:"driver"`
	MinWarm    int            `json:"min_warm"`
	TargetWarm int            `json:"target_warm"`
	MaxTotal   int            `json:"max_total"`
	Blanks     string         `json:"blanks"` // always, when_used
	MemoryMB   int64          `json:"memory_mb"`
	VCPUs      *float64       `json:"vcpus,omitempty"` // nil = no limit
	Functions  int            `json:"functions"`
	Size       int            `json:"size"`
	Warm       int            `json:"warm"`
	Busy       int            `json:"busy"`
	States     map[string]int `json:"states"`
	Failing    bool           `json:"failing"` // the last instance without code could not be started
}

// Instance is one place that runs one version of one function, or a blank one that may.
type Instance struct {
	ID           string     `json:"id"`
	State        string     `json:"state"` // starting, blank, specializing, idle, frozen, leased, stopping
	Runtime      string     `json:"runtime"`
	Driver       string     `json:"driver"`
	FunctionID   string     `json:"function_id,omitempty"` // "" = it has no code
	FunctionName string     `json:"function_name,omitempty"`
	Namespace    string     `json:"namespace,omitempty"`
	Version      int64      `json:"version,omitempty"`
	StartedAt    time.Time  `json:"started_at"`
	UsedAt       *time.Time `json:"used_at,omitempty"`    // nil = it has had no call
	BusySince    *time.Time `json:"busy_since,omitempty"` // nil = it runs no call
	Calls        int        `json:"calls"`                // that it runs now
	Uses         int        `json:"uses"`
	MemoryMB     *float64   `json:"memory_mb,omitempty"` // nil = it did not say in time, as the next three
	PeakMB       *float64   `json:"memory_peak_mb,omitempty"`
	CPUMS        *float64   `json:"cpu_ms,omitempty"`
	PIDs         *int       `json:"pids,omitempty"`
}

// Pools returns what instances there are: all pools, and one page of instances.
func (c *Client) Pools(ctx context.Context, limit int, cursor string) (*Pools, error) {
	query := url.Values{}
	setPage(query, limit, cursor)
	out := &Pools{}
	return out, c.do(ctx, call{method: http.MethodGet, segments: []string{"pools"}, query: query}, nil, out)
}
