package pool

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"nimbus"
	"nimbus/internal/driver"
)

// surveyTimeout bounds how long instances are asked what they use.
const surveyTimeout = 500 * time.Millisecond

// surveyors is how many are asked at once.
const surveyors = 8

// Survey is what a principal may see of the pool.
type Survey struct {
	Time      time.Time
	Stocks    []StockSurvey // by runtime, then driver
	Held      int           // calls that wait for an instance
	Instances nimbus.List[InstanceSurvey]
}

// StockSurvey is the instances of one runtime on one driver.
type StockSurvey struct {
	Runtime   string
	Driver    string
	Config    RuntimeConfig // in effect
	Functions int           // that take calls
	States    map[State]int // no entry for Stopped
	Failing   bool          // the last blank could not be started
}

// InstanceSurvey is one instance.
type InstanceSurvey struct {
	ID           string
	Runtime      string
	Driver       string
	State        State
	FunctionID   nimbus.ID // zero for a blank, as the next three are
	FunctionName string
	Namespace    string
	Version      int64
	StartedAt    time.Time
	UsedAt       time.Time // when its last call ended; zero = it has had none
	BusySince    time.Time // when its call began, or the first of several; zero = it runs none
	Calls        int       // that it runs
	Uses         int
	Stats        *driver.Stats // nil = it did not say in time

	driver driver.Instance
}

// Survey shows the pool: to who is confined to namespaces, only the instances of their functions. Instances
// come oldest first; those of the page are asked what they use.
func (p *Pool) Survey(ctx context.Context, who nimbus.Principal, page nimbus.Page) (Survey, error) {
	if err := who.RequireScope(nimbus.ScopeRead); err != nil {
		return Survey{}, err
	}
	page, err := page.Checked()
	if err != nil {
		return Survey{}, err
	}
	if _, err := nimbus.ParseID(page.Cursor); page.Cursor != "" && err != nil {
		var invalid nimbus.Invalid
		invalid.Add("cursor", "is none that an answer gave")
		return Survey{}, invalid.Err()
	}
	confined := len(who.Namespaces) > 0
	all := p.surveyInstances(who, confined)
	survey := Survey{Time: time.Now(), Held: p.surveyHeld(who), Stocks: p.surveyStocks(all, confined)}
	slices.SortFunc(all, func(a, b InstanceSurvey) int { return cmp.Compare(a.ID, b.ID) })
	first, _ := slices.BinarySearchFunc(all, page.Cursor, func(in InstanceSurvey, cursor string) int {
		return cmp.Or(cmp.Compare(in.ID, cursor), -1) // past the one the last page ended with
	})
	items := all[first:]
	if len(items) > page.Limit {
		items = items[:page.Limit]
		survey.Instances.Next = items[len(items)-1].ID
	}
	weigh(ctx, items)
	survey.Instances.Items = items
	return survey, nil
}

// surveyInstances describes every instance the principal may see.
func (p *Pool) surveyInstances(who nimbus.Principal, confined bool) []InstanceSurvey {
	var all []InstanceSurvey
	for key, s := range p.stocks {
		for _, in := range s.instances() {
			one := InstanceSurvey{ID: in.id, Runtime: key.runtime, Driver: key.driver, State: in.now(), StartedAt: in.startedAt}
			switch one.State {
			case Stopped:
				continue
			case Starting, Stopping: // there is nothing to ask yet, or any more
			default:
				one.driver = in.driver
			}
			g := s.groupOf(in)
			if g != nil {
				one.fill(in, g)
			}
			if confined && (g == nil || !who.Reaches(one.Namespace)) {
				continue
			}
			all = append(all, one)
		}
	}
	return all
}

// fill adds what is known of an instance with code.
func (one *InstanceSurvey) fill(in *instance, g *group) {
	f := g.function
	one.FunctionID, one.FunctionName, one.Namespace, one.Version = f.id, g.spec.FunctionName, g.spec.Namespace, g.key.version
	f.mu.Lock()
	defer f.mu.Unlock()
	one.Uses = in.uses
	if in.uses > 0 {
		one.UsedAt = in.usedAt
	}
	one.Calls = in.seated
	if in.lease.Load() != 0 {
		one.Calls = 1
	}
	if one.State == Leased && one.Calls > 0 {
		one.BusySince = in.busyAt
	}
}

// groupOf returns the group the instance was given to; nil for a blank.
func (s *stock) groupOf(in *instance) *group {
	s.mu.Lock()
	defer s.mu.Unlock()
	return in.group
}

// surveyStocks counts the instances.
func (p *Pool) surveyStocks(all []InstanceSurvey, confined bool) []StockSurvey {
	stocks := make([]StockSurvey, 0, len(p.stocks))
	for key, s := range p.stocks {
		one := StockSurvey{Runtime: key.runtime, Driver: key.driver, Config: *s.config(), States: make(map[State]int), Failing: s.failing()}
		if !confined {
			one.Functions = s.functions()
		}
		for i := range all {
			if all[i].Runtime == key.runtime && all[i].Driver == key.driver {
				one.States[all[i].State]++
			}
		}
		stocks = append(stocks, one)
	}
	slices.SortFunc(stocks, func(a, b StockSurvey) int {
		return cmp.Or(cmp.Compare(a.Runtime, b.Runtime), cmp.Compare(a.Driver, b.Driver))
	})
	return stocks
}

// functions is how many functions of the runtime take calls.
func (s *stock) functions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users
}

// surveyHeld counts the calls that wait, of functions the principal may see.
func (p *Pool) surveyHeld(who nimbus.Principal) int {
	held := 0
	p.each(func(f *function) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, g := range f.groups {
			if who.Reaches(g.spec.Namespace) {
				held += f.held
			}
			break // all groups of a function are in one namespace
		}
	})
	return held
}

// weigh asks instances what they use, as long as there is time.
func weigh(ctx context.Context, items []InstanceSurvey) {
	ctx, cancel := context.WithTimeout(ctx, surveyTimeout)
	defer cancel()
	queue := make(chan *InstanceSurvey)
	var asked sync.WaitGroup
	for range min(surveyors, len(items)) {
		asked.Go(func() {
			for one := range queue {
				if stats, err := one.driver.Stats(ctx); err == nil {
					one.Stats = &stats
				}
			}
		})
	}
	for i := range items {
		if items[i].driver != nil {
			queue <- &items[i]
		}
	}
	close(queue)
	asked.Wait()
}
