package api

import (
	"context"
	"time"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/pool"
)

var _ Pool = (*pool.Pool)(nil)

// instances is a Pool with a blank and a busy instance.
type instances struct{ *fakes }

func (f instances) Survey(_ context.Context, p nimbus.Principal, page nimbus.Page) (pool.Survey, error) {
	f.principal, f.page = p, page
	return pool.Survey{
		Time: moment, Held: 2,
		Stocks: []pool.StockSurvey{{Runtime: "python3.11", Driver: "sandbox", Functions: 1, Failing: true,
			Config: pool.RuntimeConfig{MinWarm: 2, TargetWarm: 5, MaxTotal: 1000, Memory: 256 * nimbus.MiB, CPUMilli: 500, Blanks: pool.BlanksWhenUsed},
			States: map[pool.State]int{pool.Blank: 1, pool.Leased: 1, pool.Stopping: 3}}},
		Instances: nimbus.List[pool.InstanceSurvey]{Next: "more", Items: []pool.InstanceSurvey{
			{ID: testID(4).String(), Runtime: "python3.11", Driver: "sandbox", State: pool.Blank, StartedAt: moment.Add(-time.Hour)},
			{ID: testID(5).String(), Runtime: "python3.11", Driver: "sandbox", State: pool.Leased, StartedAt: moment.Add(-time.Minute),
				FunctionID: testID(1), FunctionName: "hello", Namespace: "default", Version: 3, Calls: 1, Uses: 7,
				UsedAt: moment.Add(-time.Second), BusySince: moment.Add(-time.Millisecond),
				Stats: &driver.Stats{Memory: 12 * nimbus.MiB, MemoryPeak: 20 * nimbus.MiB, CPU: 1234 * time.Microsecond, PIDs: 2}},
		}},
	}, f.err
}

// configuration is a Settings with two keys.
type configuration struct{ *fakes }

func (f configuration) List(_ context.Context, p nimbus.Principal) ([]Setting, error) {
	f.principal = p
	return []Setting{
		{Name: "server.listen", Value: "127.0.0.1:8080", Default: "127.0.0.1:8080", Bound: "host:port", Meaning: "Where.", Pending: "127.0.0.1:1"},
		{Name: "pool.idle_timeout", Value: "5m", Default: "2m", Bound: "a duration", Meaning: "How long.", Live: true},
	}, f.err
}

func (f configuration) Reload(_ context.Context, p nimbus.Principal) (Reload, error) {
	f.principal = p
	return Reload{Changed: []SettingChange{{"pool.idle_timeout", "2m", "5m"}},
		Pending: []SettingChange{{"server.listen", "127.0.0.1:8080", "127.0.0.1:1"}}}, f.err
}
