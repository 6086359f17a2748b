package invoke

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"nimbus"
	"nimbus/internal/obs"
	"nimbus/internal/store"
)

// slow is the part of store.Records that the recorder needs; it writes when it is let.
type slow struct {
	store.Records
	let     chan struct{}
	written []nimbus.ID
}

func (s *slow) Append(_ context.Context, records []nimbus.Invocation) error {
	<-s.let
	for i := range records {
		s.written = append(s.written, records[i].ID)
	}
	return nil
}

// While a batch is being written the bound drops records of that batch; what came after them stays.
func TestDroppingInTheMiddleOfAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{let: make(chan struct{})}
		r := newRecorder(s, obs.NewMetrics().RecordsDropped, slog.New(slog.DiscardHandler), Config{Buffer: 3}.withDefaults())
		ctx, cancel := context.WithCancel(context.Background())
		over := make(chan error)
		go func() { over <- r.run(ctx) }()
		ids := make([]nimbus.ID, 7)
		add := func(from, to int) {
			for i := from; i < to; i++ {
				ids[i] = nimbus.NewID()
				r.add(&ended{record: nimbus.Invocation{ID: ids[i], Input: []byte("1")}})
			}
		}
		add(0, 2)
		time.Sleep(time.Second) // the first two are on their way
		synctest.Wait()
		add(2, 7)
		s.let <- struct{}{}
		close(s.let)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := r.length(); n != 0 || r.bytes != 0 {
			t.Errorf("%d records of %d bytes are left", n, r.bytes)
		}
		want := append(ids[:2:2], ids[4:]...)
		if len(s.written) != len(want) {
			t.Fatalf("%d records were written, want %d", len(s.written), len(want))
		}
		for i := range want {
			if s.written[i] != want[i] {
				t.Errorf("record %d is another", i)
			}
		}
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
}
