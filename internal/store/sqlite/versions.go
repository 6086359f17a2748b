package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"nimbus"
)

const versionColumns = `v.function_id, v.number, v.published, v.package_hash, v.package_size, v.package_inline,
	v.runtime, v.handler, v.memory, v.timeout_us, v.max_concurrency, v.idle_timeout_us, v.cpu_milli, v.tmp,
	v.driver, v.capture, v.event_format, v.created_at, v.description, v.env_vars, v.source_hash, v.source_size,
	v.source_inline, v.toolchain, v.min_instances, v.instance_concurrency`

// made holds for versions that have something to run: not for those of a build that is pending or failed.
const made = "package_hash <> ''"

// AddVersion implements store.Functions.
func (c *control) AddVersion(ctx context.Context, v *nimbus.Version) error {
	return c.file.write(ctx, func(tx *sql.Tx) error {
		at, err := readProgress(ctx, tx, v.FunctionID)
		switch {
		case err != nil:
			return err
		case !at.build.IsZero():
			return nimbus.Errorf(nimbus.CodeConflict, "another update came first: version %d is being built", at.newest+1)
		case v.Number != at.newest+1:
			return nimbus.Errorf(nimbus.CodeConflict, "another update came first: version %d is the newest", at.newest)
		}
		if err := insertVersion(ctx, tx, v); err != nil {
			return err
		}
		return switchVersion(ctx, tx, v, at.status)
	})
}

// progress is how far a function has come.
type progress struct {
	status nimbus.Status
	newest int64     // version that was made; 0 = none
	build  nimbus.ID // pending; zero = none
}

func readProgress(ctx context.Context, tx *sql.Tx, function nimbus.ID) (progress, error) {
	var p progress
	err := tx.QueryRowContext(ctx, `SELECT f.status, b.id,
		coalesce((SELECT max(number) FROM versions WHERE function_id = f.id AND `+made+`), 0)
		FROM functions f LEFT JOIN builds b ON b.function_id = f.id WHERE f.id = ?`, function[:]).
		Scan(&p.status, idColumn{&p.build}, &p.newest)
	if errors.Is(err, sql.ErrNoRows) {
		return p, noFunction(function)
	}
	if err != nil {
		return p, fmt.Errorf("read newest version: %w", err)
	}
	return p, nil
}

// switchVersion makes v the one that serves.
func switchVersion(ctx context.Context, tx *sql.Tx, v *nimbus.Version, status nimbus.Status) error {
	_, err := tx.ExecContext(ctx,
		"UPDATE functions SET version = ?, status = ?, status_message = '', updated_at = ? WHERE id = ?",
		v.Number, status, micros(v.CreatedAt), v.FunctionID[:])
	if err != nil {
		return fmt.Errorf("switch version: %w", err)
	}
	return nil
}

// Version implements store.Functions.
func (c *control) Version(ctx context.Context, id nimbus.ID, number int64) (*nimbus.Version, error) {
	var v nimbus.Version
	err := c.file.read(ctx, func(tx *sql.Tx) error {
		row := versionRow{version: &v}
		err := tx.QueryRowContext(ctx,
			"SELECT "+versionColumns+" FROM versions v WHERE v.function_id = ? AND v.number = ? AND "+made, id[:], number).
			Scan(row.dest()...)
		if errors.Is(err, sql.ErrNoRows) {
			return nimbus.Errorf(nimbus.CodeNotFound, "version %d of function %s was not found", number, id)
		}
		if err != nil {
			return fmt.Errorf("read version: %w", err)
		}
		row.finish()
		return readTags(ctx, tx, &v)
	})
	if err != nil {
		return nil, err
	}
	return &v, nil
}

// PruneVersions implements store.Functions.
func (c *control) PruneVersions(ctx context.Context, id nimbus.ID, keep int) error {
	return c.file.write(ctx, func(tx *sql.Tx) error {
		var serving int64
		err := tx.QueryRowContext(ctx, "SELECT version FROM functions WHERE id = ?", id[:]).Scan(&serving)
		if errors.Is(err, sql.ErrNoRows) {
			return noFunction(id)
		}
		if err != nil {
			return fmt.Errorf("read serving version: %w", err)
		}
		var oldestKept int64
		err = tx.QueryRowContext(ctx,
			"SELECT number FROM versions WHERE function_id = ? AND "+made+" ORDER BY number DESC LIMIT 1 OFFSET ?",
			id[:], max(keep, 1)-1).Scan(&oldestKept)
		if errors.Is(err, sql.ErrNoRows) { // there are fewer
			return nil
		}
		if err != nil {
			return fmt.Errorf("find prunable versions: %w", err)
		}
		_, err = tx.ExecContext(ctx,
			"DELETE FROM versions WHERE function_id = ? AND number < ? AND published = 0 AND number <> ?",
			id[:], oldestKept, serving)
		if err != nil {
			return fmt.Errorf("delete versions: %w", err)
		}
		return nil
	})
}

// PackageHashes implements store.Functions.
func (c *control) PackageHashes(ctx context.Context) (map[string]struct{}, error) {
	hashes := make(map[string]struct{})
	err := c.file.read(ctx, func(tx *sql.Tx) error {
		return eachRow(ctx, tx, func(row scanner) error {
			var hash string
			err := row.Scan(&hash)
			hashes[hash] = struct{}{}
			return err
		}, "SELECT package_hash FROM versions UNION SELECT source_hash FROM versions")
	})
	if err != nil {
		return nil, err
	}
	delete(hashes, "")
	return hashes, nil
}

func insertVersion(ctx context.Context, tx *sql.Tx, v *nimbus.Version) error {
	s := &v.Settings
	env, err := encodeJSON(s.Env)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO versions
		(function_id, number, published, package_hash, package_size, package_inline, runtime, handler, memory,
		timeout_us, max_concurrency, idle_timeout_us, cpu_milli, tmp, driver, capture, event_format, created_at,
		description, env_vars, source_hash, source_size, source_inline, toolchain, min_instances, instance_concurrency)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		v.FunctionID[:], v.Number, v.Published, v.Package.Hash, v.Package.Size, v.Package.Inline, s.Runtime,
		s.Handler, s.Memory, s.Timeout.Microseconds(), s.MaxConcurrency, s.IdleTimeout.Microseconds(), s.CPUMilli,
		s.Tmp, s.Driver, s.Capture, s.EventFormat, micros(v.CreatedAt), s.Description, env,
		v.Source.Hash, v.Source.Size, v.Source.Inline, v.Toolchain, s.MinInstances, s.InstanceConcurrency)
	if err != nil {
		return fmt.Errorf("insert version: %w", err)
	}
	for _, tag := range s.Tags {
		_, err := tx.ExecContext(ctx, "INSERT INTO version_tags (function_id, number, tag) VALUES (?, ?, ?)",
			v.FunctionID[:], v.Number, tag)
		if err != nil {
			return fmt.Errorf("insert tag: %w", err)
		}
	}
	return nil
}

// versionRow scans versionColumns.
type versionRow struct {
	version                       *nimbus.Version
	timeout, idleTimeout, created int64
}

func (r *versionRow) dest() []any {
	v, s := r.version, &r.version.Settings
	return []any{idColumn{&v.FunctionID}, &v.Number, &v.Published, &v.Package.Hash, &v.Package.Size,
		&v.Package.Inline, &s.Runtime, &s.Handler, &s.Memory, &r.timeout, &s.MaxConcurrency, &r.idleTimeout,
		&s.CPUMilli, &s.Tmp, &s.Driver, &s.Capture, &s.EventFormat, &r.created, &s.Description, jsonColumn{&s.Env},
		&v.Source.Hash, &v.Source.Size, &v.Source.Inline, &v.Toolchain, &s.MinInstances, &s.InstanceConcurrency}
}

func (r *versionRow) finish() {
	r.version.Settings.Timeout = fromDurationMicros(r.timeout)
	r.version.Settings.IdleTimeout = fromDurationMicros(r.idleTimeout)
	r.version.CreatedAt = fromMicros(r.created)
}

// readTags fills in the tags of the versions, with one query for all of them.
func readTags(ctx context.Context, tx *sql.Tx, versions ...*nimbus.Version) error {
	if len(versions) == 0 {
		return nil
	}
	type key struct {
		function nimbus.ID
		number   int64
	}
	byKey := make(map[key]*nimbus.Version, len(versions))
	args := make([]any, 0, 2*len(versions))
	for _, v := range versions {
		byKey[key{v.FunctionID, v.Number}] = v
		args = append(args, v.FunctionID[:], v.Number)
	}
	anyOf := strings.Repeat(" OR function_id = ? AND number = ?", len(versions))[len(" OR "):]
	return eachRow(ctx, tx, func(row scanner) error {
		var k key
		var tag string
		if err := row.Scan(idColumn{&k.function}, &k.number, &tag); err != nil {
			return err
		}
		s := &byKey[k].Settings
		s.Tags = append(s.Tags, tag)
		return nil
	}, "SELECT function_id, number, tag FROM version_tags WHERE "+anyOf+" ORDER BY function_id, number, tag", args...)
}

// eachRow runs a query and hands every row to fn.
func eachRow(ctx context.Context, tx *sql.Tx, fn func(row scanner) error, query string, args ...any) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return fmt.Errorf("scan row: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("query: %w", err)
	}
	return nil
}
