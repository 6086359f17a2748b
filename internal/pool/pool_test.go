package pool_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/obs"
	"nimbus/internal/pool"
	"nimbus/internal/pool/pooltest"
	"nimbus/internal/runtime"
)

const python = "python3.11"

// packages is a Packages whose every tree is the same.
type packages struct{ err error }

func (p packages) Dir(context.Context, nimbus.Package) (string, error) { return "/code", p.err }

// logs keeps lines.
type logs struct {
	mu    sync.Mutex
	lines []obs.LogLine
}

func (l *logs) Append(lines ...obs.LogLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, lines...)
}

func (l *logs) all() []obs.LogLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]obs.LogLine(nil), l.lines...)
}

// world is a pool over a fake driver, running.
type world struct {
	*pool.Pool
	driver *pooltest.Driver
	logs   *logs
	stop   context.CancelFunc
	ended  chan error
}

// open starts a pool. It is stopped, and the driver's verdict taken, when the test ends or at close.
func open(t *testing.T, d *pooltest.Driver, c pool.Config) *world {
	t.Helper()
	return openOn(t, d, nil, c)
}

// openOn starts a pool on a machine.
func openOn(t *testing.T, d *pooltest.Driver, machine pool.Machine, c pool.Config) *world {
	t.Helper()
	if c.Runtimes == nil {
		c.Runtimes = []pool.RuntimeConfig{{}}
	}
	for i := range c.Runtimes {
		c.Runtimes[i].Runtime = runtime.Runtime{Name: python, Language: runtime.Python}
	}
	w := &world{driver: d, logs: &logs{}, ended: make(chan error, 1)}
	var err error
	w.Pool, err = pool.New(pool.Deps{
		Drivers: []driver.Driver{d}, Packages: packages{}, Logs: w.logs, Metrics: obs.NewMetrics(), Log: slog.New(slog.DiscardHandler), Machine: machine,
	}, c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	go func() { w.ended <- w.Run(ctx) }()
	t.Cleanup(func() { w.close(t) })
	return w
}

// close stops the pool and checks that nothing is left and the contract was kept.
func (w *world) close(t *testing.T) {
	t.Helper()
	if w.ended == nil {
		return
	}
	w.stop()
	defer func() { w.ended = nil }()
	if err := <-w.ended; err != nil {
		t.Errorf("run: %v", err)
	}
	if n := w.driver.Living(); n != 0 {
		t.Errorf("%d instances outlived the pool", n)
	}
	if err := w.driver.Violations(); err != nil {
		t.Errorf("the driver's contract was broken: %v", err)
	}
}

// function makes version number of a new function.
func function(number int64) *pool.Spec { return version(nimbus.NewID(), number) }

func version(id nimbus.ID, number int64) *pool.Spec {
	return &pool.Spec{FunctionID: id, FunctionName: "f", Namespace: "default", VersionText: strconv.FormatInt(number, 10),
		Version: &nimbus.Version{FunctionID: id, Number: number,
			Settings: nimbus.Settings{Runtime: python, Driver: "fake", Handler: "handler.handle", Memory: 128 * nimbus.MiB}}}
}

func (w *world) acquire(t *testing.T, s *pool.Spec) pool.Lease {
	t.Helper()
	l, err := w.Acquire(t.Context(), pool.Request{Spec: s})
	if err != nil {
		t.Fatalf("acquire: %v", err)
	}
	return l
}

// states counts the instances of the one stock.
func (w *world) states() map[pool.State]int { return w.Stats().Stocks[0].States }

func TestAnInstanceIsUsedAgain(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{}, pool.Config{})
	s := function(1)
	first := w.acquire(t, s)
	if !first.Cold() {
		t.Error("the first lease is not cold")
	}
	first.Release(pool.Healthy)
	second := w.acquire(t, s)
	if second.Cold() || second.InstanceID() != first.InstanceID() {
		t.Errorf("the second lease is of %s, cold %t; want the warm %s", second.InstanceID(), second.Cold(), first.InstanceID())
	}
	second.Release(pool.Healthy)
	second.Release(pool.Broken) // the lease is over
	third := w.acquire(t, s)
	if third.InstanceID() != first.InstanceID() {
		t.Error("releasing twice stopped the instance")
	}
	third.Release(pool.Healthy)
}

func TestTheLastUsedIsLeasedFirst(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{}, pool.Config{})
	s := function(1)
	a, b := w.acquire(t, s), w.acquire(t, s)
	b.Release(pool.Healthy)
	a.Release(pool.Healthy)
	c := w.acquire(t, s)
	defer c.Release(pool.Healthy)
	if c.InstanceID() != a.InstanceID() {
		t.Error("the instance used before last was leased")
	}
}

func TestABrokenInstanceIsNeverUsedAgain(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{}, pool.Config{})
	s := function(1)
	a := w.acquire(t, s)
	a.Release(pool.Broken)
	<-a.Instance().Done()
	b := w.acquire(t, s)
	defer b.Release(pool.Healthy)
	if b.InstanceID() == a.InstanceID() {
		t.Error("a broken instance was leased")
	}
}

func TestVersionsAndFunctionsNeverShare(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{}, pool.Config{})
	one := function(1)
	seen := make(map[string]bool)
	for _, s := range []*pool.Spec{one, version(one.FunctionID, 2), function(1)} {
		l := w.acquire(t, s)
		if code := l.Instance().(*pooltest.Instance).Code(); code.Init.FunctionID != s.FunctionID.String() ||
			code.Init.FunctionVersion != s.VersionText {
			t.Errorf("got an instance of %s version %s", code.Init.FunctionID, code.Init.FunctionVersion)
		}
		if seen[l.InstanceID()] {
			t.Error("an instance was shared")
		}
		seen[l.InstanceID()] = true
		l.Release(pool.Healthy)
	}
}

func TestAHeldCallTakesWhatIsReleasedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{}
		w := open(t, d, pool.Config{})
		defer w.close(t)
		s := function(1)
		first := w.acquire(t, s)
		d.OnStart = func(ctx context.Context, _ driver.Spec) error { return pooltest.Sleep(ctx, time.Second) }
		got := make(chan pool.Lease)
		go func() {
			l, err := w.Acquire(context.Background(), pool.Request{Spec: s})
			if err != nil {
				t.Error(err)
			}
			got <- l
		}()
		synctest.Wait()
		first.Release(pool.Healthy)
		l := <-got
		if l.InstanceID() != first.InstanceID() || l.Cold() {
			t.Error("the held call waited for its own start")
		}
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if n := w.states()[pool.Idle]; n != 1 {
			t.Errorf("%d idle instances; the start nobody waited for should have left one", n)
		}
		l.Release(pool.Healthy)
	})
}

func TestHeldCallsAreServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{Runtimes: []pool.RuntimeConfig{{MaxTotal: 1}}})
		defer w.close(t)
		s := function(1)
		first := w.acquire(t, s)
		order := make(chan int, 5)
		var calls sync.WaitGroup
		for i := range 5 {
			calls.Go(func() {
				l, err := w.Acquire(context.Background(), pool.Request{Spec: s})
				if err != nil {
					t.Error(err)
					return
				}
				order <- i
				l.Release(pool.Healthy)
			})
			synctest.Wait()
		}
		first.Release(pool.Healthy)
		calls.Wait()
		for want := range 5 {
			if got := <-order; got != want {
				t.Fatalf("call %d was served in place of %d", got, want)
			}
		}
	})
}

func TestMaxConcurrencyHoldsCallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{})
		defer w.close(t)
		s := function(1)
		s.Version.Settings.MaxConcurrency = 2
		var mu sync.Mutex
		running, most := 0, 0
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() {
				l, err := w.Acquire(context.Background(), pool.Request{Spec: s})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				time.Sleep(10 * time.Millisecond)
				mu.Lock()
				running--
				mu.Unlock()
				l.Release(pool.Healthy)
			})
		}
		calls.Wait()
		if most != 2 {
			t.Errorf("%d calls ran at once, want 2", most)
		}
	})
}

func TestHeldCallsAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		config pool.Config
		bytes  int64
	}{
		"per function": {pool.Config{QueuePerFunction: 1}, 0},
		"in all":       {pool.Config{QueueSize: 1, QueuePerFunction: 9}, 0},
		"by bytes":     {pool.Config{QueueBytes: 100}, 60},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &pooltest.Driver{OnStart: func(ctx context.Context, _ driver.Spec) error { <-ctx.Done(); return ctx.Err() }}
				w := open(t, d, c.config)
				defer w.close(t)
				s := function(1)
				ctx, cancel := context.WithCancel(context.Background())
				left := make(chan error)
				go func() {
					_, err := w.Acquire(ctx, pool.Request{Spec: s, Bytes: c.bytes})
					left <- err
				}()
				synctest.Wait()
				_, err := w.Acquire(ctx, pool.Request{Spec: s, Bytes: c.bytes})
				wantBusy(t, err)
				cancel()
				if err := <-left; !errors.Is(err, context.Canceled) {
					t.Errorf("the held call ended with %v", err)
				}
				if s := w.Stats(); s.Held != 0 || s.HeldBytes != 0 {
					t.Errorf("held after all left: %+v", s)
				}
			})
		})
	}
}

func TestHoldingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{OnStart: func(ctx context.Context, _ driver.Spec) error { <-ctx.Done(); return ctx.Err() }}
		w := open(t, d, pool.Config{HoldTimeout: 3 * time.Second})
		defer w.close(t)
		began := time.Now()
		_, err := w.Acquire(context.Background(), pool.Request{Spec: function(1)})
		wantBusy(t, err)
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("held for %s", took)
		}
	})
}

// wantBusy checks for a 429 that says when to come again.
func wantBusy(t *testing.T, err error) {
	t.Helper()
	var e *nimbus.Error
	if !errors.As(err, &e) || e.Code != nimbus.CodeTooManyRequests || e.RetryAfter <= 0 {
		t.Errorf("got %v, want too_many_requests with a time", err)
	}
}

func TestWhatIsPrintedIsStampedWithItsCall(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{}, pool.Config{})
	s := function(3)
	l := w.acquire(t, s)
	in := l.Instance().(*pooltest.Instance)
	call := nimbus.NewID()
	in.Print(driver.Stdout, "while importing\n")
	l.Begin(call, pool.KeepLines)
	in.Print(driver.Stderr, "in the call")
	l.Print("why it ended")
	if got := l.Lines(); len(got) != 2 {
		t.Errorf("kept %q", got)
	}
	l.Release(pool.Healthy)
	in.Print(driver.Stdout, "afterwards\n")
	want := []obs.LogLine{
		{Stream: obs.StreamStdout, Text: "while importing"},
		{Stream: obs.StreamStderr, Text: "in the call", Invocation: call},
		{Stream: obs.StreamPlatform, Text: "why it ended", Invocation: call},
		{Stream: obs.StreamStdout, Text: "afterwards"},
	}
	got := w.logs.all()
	for i := range got {
		got[i].Time = time.Time{}
		if i < len(want) {
			want[i].Function, want[i].Version, want[i].Instance = s.FunctionID, 3, l.InstanceID()
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
