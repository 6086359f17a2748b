package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"nimbus"
	"nimbus/internal/store"
)

// records implements store.Records.
type records struct{ file *file }

const (
	recordColumns = `id, namespace, function_id, function_name, version, attempt, trigger_type, status, error_type,
		cold_start, instance_id, created_at, started_at, completed_at, duration_us, billed_us, memory_peak,
		memory_instance, hold_us, claim_us, attach_us, init_us, error,
		cpu_us, trace_id, route_us, admit_us, write_us, log_cut`
	recordPayloads = "input, output"
	recordWidth    = 31
)

// Append implements store.Records.
func (r *records) Append(ctx context.Context, batch []nimbus.Invocation) error {
	if len(batch) == 0 {
		return nil
	}
	return r.file.write(ctx, func(tx *sql.Tx) error {
		insert, err := tx.PrepareContext(ctx, "REPLACE INTO invocations ("+recordColumns+", "+recordPayloads+
			") VALUES (?"+strings.Repeat(", ?", recordWidth-1)+")")
		if err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		defer insert.Close()
		for i := range batch {
			if _, err := insert.ExecContext(ctx, recordArgs(&batch[i])...); err != nil {
				return fmt.Errorf("insert record: %w", err)
			}
		}
		return nil
	})
}

// Invocation implements store.Records.
func (r *records) Invocation(ctx context.Context, id nimbus.ID) (*nimbus.Invocation, error) {
	var inv nimbus.Invocation
	err := r.file.read(ctx, func(tx *sql.Tx) error {
		row := recordRow{record: &inv}
		err := tx.QueryRowContext(ctx, "SELECT "+recordColumns+", "+recordPayloads+" FROM invocations WHERE id = ?", id[:]).
			Scan(append(row.dest(), &inv.Input, &inv.Output)...)
		if errors.Is(err, sql.ErrNoRows) {
			return nimbus.Errorf(nimbus.CodeNotFound, "invocation %s was not found", id)
		}
		if err != nil {
			return fmt.Errorf("read record: %w", err)
		}
		row.finish()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &inv, nil
}

// ListInvocations implements store.Records.
func (r *records) ListInvocations(ctx context.Context, q store.InvocationQuery) (nimbus.List[nimbus.Invocation], error) {
	var none nimbus.List[nimbus.Invocation]
	page, err := q.Page.Checked()
	if err != nil {
		return none, err
	}
	if len(q.Namespaces) == 0 && q.FunctionID.IsZero() {
		return none, required("namespace")
	}
	var before timeKey
	if page.Cursor != "" {
		if before, err = parseTimeKey(page.Cursor); err != nil {
			return none, err
		}
	}
	var found []nimbus.Invocation
	err = r.file.read(ctx, func(tx *sql.Tx) error {
		for _, namespace := range scopes(q.Namespaces) {
			query, args := recordsQuery(q, namespace, before, page.Limit+1)
			err := eachRow(ctx, tx, func(row scanner) error {
				var inv nimbus.Invocation
				rec := recordRow{record: &inv}
				if err := row.Scan(rec.dest()...); err != nil {
					return err
				}
				rec.finish()
				found = append(found, inv)
				return nil
			}, query, args...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return none, err
	}
	slices.SortFunc(found, func(a, b nimbus.Invocation) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), slices.Compare(b.ID[:], a.ID[:]))
	})
	return cut(found, page.Limit, func(i *nimbus.Invocation) string {
		return timeKey{us: micros(i.CreatedAt), id: i.ID}.cursor()
	}), nil
}

// Prune implements store.Records.
func (r *records) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	var removed int64
	err := r.file.write(ctx, func(tx *sql.Tx) error {
		var err error
		removed, err = affected(tx.ExecContext(ctx, `DELETE FROM invocations WHERE id IN
			(SELECT id FROM invocations WHERE created_at < ? ORDER BY created_at LIMIT ?)`, micros(before), max(limit, 0)))
		if err != nil {
			return fmt.Errorf("delete records: %w", err)
		}
		return nil
	})
	return int(removed), err
}

// recordsQuery selects the records of a function, of a namespace, or of a function there.
func recordsQuery(q store.InvocationQuery, namespace string, before timeKey, limit int) (string, []any) {
	var w where
	if !q.FunctionID.IsZero() {
		w.and("function_id = ?", q.FunctionID[:])
	}
	switch {
	case namespace == "":
	case q.FunctionID.IsZero():
		w.and("namespace = ?", namespace)
	default: // a function's own index is the narrower one
		w.and("+namespace = ?", namespace)
	}
	// Of two upper bounds SQLite starts at either and steps over the rest: give it the lower one alone.
	if !q.Until.IsZero() && (before == timeKey{} || micros(q.Until) <= before.us) {
		w.and("created_at < ?", micros(q.Until))
	} else if before != (timeKey{}) {
		w.and("(created_at, id) < (?, ?)", before.us, before.id[:])
	}
	if !q.Since.IsZero() {
		w.and("created_at >= ?", micros(q.Since))
	}
	if q.Status != "" {
		w.and("status = ?", q.Status)
	}
	return "SELECT " + recordColumns + " FROM invocations" + w.String() +
		" ORDER BY created_at DESC, id DESC LIMIT ?", append(w.args, limit)
}

func recordArgs(i *nimbus.Invocation) []any {
	return []any{i.ID[:], i.Namespace, i.FunctionID[:], i.FunctionName, i.Version, i.Attempt, i.TriggerType, i.Status,
		i.ErrorType, i.ColdStart, i.InstanceID, micros(i.CreatedAt), optionalMicros(i.StartedAt),
		optionalMicros(i.CompletedAt), i.Duration.Microseconds(), i.Billed.Microseconds(), i.Memory.Peak,
		i.Memory.Instance, i.Phases.Hold.Microseconds(), i.Phases.Claim.Microseconds(),
		i.Phases.Attach.Microseconds(), i.Phases.Init.Microseconds(), i.Error, i.CPU.Microseconds(), i.TraceID,
		i.Phases.Route.Microseconds(), i.Phases.Admit.Microseconds(), i.Phases.Write.Microseconds(), i.LogCut,
		i.Input, i.Output}
}

// recordRow scans recordColumns.
type recordRow struct {
	record                    *nimbus.Invocation
	created                   int64
	started, completed        sql.NullInt64
	duration, billed, cpu     int64
	route, admit, hold, write int64
	claim, attach, initUS     int64
}

func (r *recordRow) dest() []any {
	i := r.record
	return []any{idColumn{&i.ID}, &i.Namespace, idColumn{&i.FunctionID}, &i.FunctionName, &i.Version, &i.Attempt,
		&i.TriggerType, &i.Status, &i.ErrorType, &i.ColdStart, &i.InstanceID, &r.created, &r.started, &r.completed,
		&r.duration, &r.billed, &i.Memory.Peak, &i.Memory.Instance, &r.hold, &r.claim, &r.attach, &r.initUS, &i.Error,
		&r.cpu, &i.TraceID, &r.route, &r.admit, &r.write, &i.LogCut}
}

func (r *recordRow) finish() {
	i := r.record
	i.CreatedAt = fromMicros(r.created)
	i.StartedAt, i.CompletedAt = fromOptionalMicros(r.started), fromOptionalMicros(r.completed)
	i.Duration, i.Billed = fromDurationMicros(r.duration), fromDurationMicros(r.billed)
	i.CPU = fromDurationMicros(r.cpu)
	i.Phases = nimbus.Phases{Route: fromDurationMicros(r.route), Admit: fromDurationMicros(r.admit),
		Hold: fromDurationMicros(r.hold), Claim: fromDurationMicros(r.claim), Attach: fromDurationMicros(r.attach),
		Init: fromDurationMicros(r.initUS), Write: fromDurationMicros(r.write)}
}
