package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"nimbus"
	"nimbus/internal/store"
)

// Bounds of one commit: they bound how long its first entry waits for the last.
const (
	batchEntries = 1024
	batchBytes   = 8 << 20
)

// ledgerWriter is the one goroutine that appends. It takes whatever callers stand ready to hand over,
// writes it in one transaction and syncs once for all of them. There is no queue: a caller waits at the
// door, where it may still turn away, until the writer takes its entry; then it is told the truth.
type ledgerWriter struct {
	file    *file
	conn    *sql.Conn // the file's writing connection, kept for good
	inserts *ledgerInserts
	door    chan *appending
	stop    chan struct{}
	done    chan struct{}
	close   func() error
}

// appending is an entry on its way.
type appending struct {
	entry    *store.Entry
	accepted store.Accepted
	err      error
	told     chan struct{}
}

func newLedgerWriter(ctx context.Context, f *file) (*ledgerWriter, error) {
	conn, err := f.writer.Conn(ctx)
	if err != nil {
		return nil, f.translate(fmt.Errorf("connect to %s: %w", f.schema.name, err))
	}
	w := &ledgerWriter{file: f, conn: conn,
		door: make(chan *appending), stop: make(chan struct{}), done: make(chan struct{})}
	if err := conn.Raw(func(dc any) (err error) {
		w.inserts, err = prepareInserts(dc)
		return err
	}); err != nil {
		return nil, errors.Join(f.translate(err), conn.Close())
	}
	w.close = sync.OnceValue(w.shut)
	go w.run()
	return w, nil
}

// append hands the entry over and waits for its fate. The context counts until it is handed over.
func (w *ledgerWriter) append(ctx context.Context, e *store.Entry) (store.Accepted, error) {
	a := &appending{entry: e, told: make(chan struct{})}
	if err := ctx.Err(); err != nil {
		return store.Accepted{}, gaveUp(err)
	}
	select {
	case w.door <- a:
	case <-ctx.Done():
		return store.Accepted{}, gaveUp(ctx.Err())
	case <-w.stop:
		return store.Accepted{}, nimbus.Errorf(nimbus.CodeUnavailable, "the store is closed")
	}
	<-a.told
	return a.accepted, a.err
}

func (w *ledgerWriter) run() {
	defer close(w.done)
	batch := make([]*appending, 0, batchEntries)
	for {
		select {
		case a := <-w.door:
			batch = w.gather(append(batch[:0], a))
			w.commit(batch)
		case <-w.stop:
			return
		}
	}
}

// gather adds to the batch until nobody stands at the door. It looks away once in between: those whom the
// last commit woke need a moment to come back.
func (w *ledgerWriter) gather(batch []*appending) []*appending {
	size := len(batch[0].entry.Event)
	for looked := 0; len(batch) < batchEntries && size < batchBytes; {
		select {
		case a := <-w.door:
			batch = append(batch, a)
			size += len(a.entry.Event)
			looked = 0
		default:
			if looked++; looked > 1 {
				return batch
			}
			runtime.Gosched()
		}
	}
	return batch
}

// commit stores the batch and tells every caller. An entry that is refused does not hurt the others; when
// the transaction fails, all of them fail.
func (w *ledgerWriter) commit(batch []*appending) {
	err := w.conn.Raw(func(any) error { return w.inserts.store(batch) })
	if err != nil {
		err = w.file.translate(fmt.Errorf("append to the ledger: %w", err))
	}
	for _, a := range batch {
		if err != nil {
			a.accepted, a.err = store.Accepted{}, err
		}
		close(a.told)
	}
}

// shut waits for the running commit; an entry that has been handed over is never dropped.
func (w *ledgerWriter) shut() error {
	close(w.stop)
	<-w.done
	return errors.Join(w.conn.Raw(func(any) error { return w.inserts.close() }), w.conn.Close())
}

func gaveUp(err error) error {
	return nimbus.WrapError(nimbus.CodeUnavailable, err, "the request ended before it was accepted")
}
