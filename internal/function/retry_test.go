package function

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/build"
	"nimbus/internal/store"
)

func TestPlatformFailuresAreTriedAgain(t *testing.T) {
	t.Parallel()
	broken := nimbus.Errorf(nimbus.CodeUnavailable, "the proxy of modules can't be reached")
	full := nimbus.Errorf(nimbus.CodeInsufficientStorage, "the disk is full; writes succeed again once there is room")
	for name, c := range map[string]struct {
		compile func(attempt int) error
		tries   int
		status  nimbus.Status
		message string
	}{
		"once":            {failing(1, broken), 2, nimbus.StatusActive, ""},
		"for good":        {failing(9, broken), buildAttempts, nimbus.StatusFailed, "the proxy of modules can't be reached"},
		"in unknown ways": {failing(9, errors.New("secret detail")), buildAttempts, nimbus.StatusFailed, "the platform failed 3 times to compile it; the server's log says why"},
		"by panic":        {panicking(1), 2, nimbus.StatusActive, ""},
		"a full disk":     {failing(9, full), 1, nimbus.StatusFailed, "the disk is full; writes succeed again once there is room; deploy again then"},
		"the input's own": {failing(9, nimbus.Errorf(nimbus.CodeInvalid, "cgo is off")), 1, nimbus.StatusFailed, "cgo is off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.cfg.RetryAfter = time.Millisecond
			b.compiler.set(func(context.Context, build.Request, func(string)) error { return c.compile(b.compiler.count()) })
			b.work(t)
			f, err := b.Create(t.Context(), owner(), "", "f", goText("1"))
			if err != nil || f.Status != c.status || f.StatusMessage != c.message || b.compiler.count() != c.tries {
				t.Errorf("after %d tries it came to %s %q, %v", b.compiler.count(), f.Status, f.StatusMessage, err)
			}
		})
	}
}

func failing(times int, err error) func(int) error {
	return func(attempt int) error {
		if attempt <= times {
			return err
		}
		return nil
	}
}

func panicking(times int) func(int) error {
	return func(attempt int) error {
		if attempt <= times {
			panic("a mistake of ours")
		}
		return nil
	}
}

// TestPauses: tries are further and further apart.
func TestPauses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for attempts, want := range map[int]time.Duration{1: time.Second, 2: 4 * time.Second, 3: 16 * time.Second, 9: 16 * time.Second} {
		if got := b.pause(attempts); got != want {
			t.Errorf("after %d attempts: %s, want %s", attempts, got, want)
		}
	}
}

// TestStoreThatFailsForAWhile: what can't be read or written is tried again, and nothing is compiled for nothing.
func TestStoreThatFailsForAWhile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.cfg.RetryAfter = time.Millisecond
	b.functions = &ailing{Control: b.control, left: 4}
	b.work(t)
	f, err := b.Create(t.Context(), owner(), "", "f", goText("1"))
	if err != nil || f.Status != nimbus.StatusActive {
		t.Errorf("it came to %+v, %v", f, err)
	}
}

// TestFailureIsNotMadeAnew: a failure that the store can't take, on the same full disk, is kept until it can.
func TestFailureIsNotMadeAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.cfg.RetryAfter = time.Millisecond
	b.functions = &fullStore{Control: b.control, left: 3}
	b.compiler.set(func(context.Context, build.Request, func(string)) error {
		return nimbus.Errorf(nimbus.CodeInsufficientStorage, "the disk is full")
	})
	b.work(t)
	f, err := b.Create(t.Context(), owner(), "", "f", goText("1"))
	if err != nil || f.Status != nimbus.StatusFailed || f.StatusMessage != "the disk is full; deploy again then" || b.compiler.count() != 1 {
		t.Errorf("after %d compilations it came to %s %q, %v", b.compiler.count(), f.Status, f.StatusMessage, err)
	}
}

// fullStore takes a failure only after a while. One worker calls it.
type fullStore struct {
	store.Control
	left int
}

func (s *fullStore) FailBuild(ctx context.Context, b *nimbus.Build, message string, at time.Time) error {
	if s.left--; s.left >= 0 {
		return nimbus.Errorf(nimbus.CodeInsufficientStorage, "the disk is full; nothing was stored")
	}
	return s.Control.FailBuild(ctx, b, message, at)
}

// ailing is a store that answers what builds ask of it only after a while.
type ailing struct {
	store.Control
	mu   sync.Mutex
	left int
}

func (a *ailing) fails() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left--; a.left >= 0 {
		return nimbus.Errorf(nimbus.CodeInsufficientStorage, "the disk is full")
	}
	return nil
}

func (a *ailing) Builds(ctx context.Context) ([]nimbus.Build, error) {
	if err := a.fails(); err != nil {
		return nil, err
	}
	return a.Control.Builds(ctx)
}

func (a *ailing) Build(ctx context.Context, id nimbus.ID) (*nimbus.Build, error) {
	if err := a.fails(); err != nil {
		return nil, err
	}
	return a.Control.Build(ctx, id)
}

func (a *ailing) FinishBuild(ctx context.Context, b *nimbus.Build) error {
	if err := a.fails(); err != nil {
		return err
	}
	return a.Control.FinishBuild(ctx, b)
}

// TestDeletedWhenItHasSwitched: that nothing is left to prune is no cause for alarm.
func TestDeletedWhenItHasSwitched(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var log bytes.Buffer
	b.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	f := b.create(t, "f", text(echo))
	b.switched(t.Context(), f.ID)
	if err := b.Delete(t.Context(), owner(), byID(f)); err != nil {
		t.Fatal(err)
	}
	b.switched(t.Context(), f.ID)
	if log.Len() > 0 {
		t.Errorf("it logged %s", &log)
	}
}
