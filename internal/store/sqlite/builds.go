package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"nimbus"
)

// A pending build is a row of builds and, under the number that it will have, a version that is not made.

// AddBuild implements store.Builds.
func (c *control) AddBuild(ctx context.Context, b *nimbus.Build, replaces nimbus.ID, message string) error {
	function := b.Version.FunctionID
	return c.file.write(ctx, func(tx *sql.Tx) error {
		at, err := readProgress(ctx, tx, function)
		switch {
		case err != nil:
			return err
		case at.build != replaces && !at.build.IsZero():
			return nimbus.Errorf(nimbus.CodeConflict, "another update came first: version %d is being built", at.newest+1)
		case at.build != replaces, b.Version.Number != at.newest+1:
			return nimbus.Errorf(nimbus.CodeConflict, "another update came first: version %d is the newest", at.newest)
		}
		if err := deleteBuild(ctx, tx, function); err != nil {
			return err
		}
		if err := deleteUnmade(ctx, tx, function); err != nil {
			return err
		}
		if err := insertBuild(ctx, tx, b); err != nil {
			return err
		}
		if at.status == nimbus.StatusFailed {
			at.status = nimbus.StatusBuilding
		}
		return setMessage(ctx, tx, function, at.status, message, b.Version.CreatedAt)
	})
}

// Build implements store.Builds.
func (c *control) Build(ctx context.Context, function nimbus.ID) (*nimbus.Build, error) {
	found, err := c.builds(ctx, "WHERE b.function_id = ?", function[:])
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, nimbus.Errorf(nimbus.CodeNotFound, "function %s has no pending build", function)
	}
	return &found[0], nil
}

// Builds implements store.Builds.
func (c *control) Builds(ctx context.Context) ([]nimbus.Build, error) { return c.builds(ctx, "") }

// FinishBuild implements store.Builds.
func (c *control) FinishBuild(ctx context.Context, b *nimbus.Build) error {
	if !b.Version.Made() {
		return nimbus.Errorf(nimbus.CodeInternal, "build %s is finished without a package", b.ID)
	}
	return c.endBuild(ctx, b, func(tx *sql.Tx, status nimbus.Status) error {
		if err := deleteUnmade(ctx, tx, b.Version.FunctionID); err != nil {
			return err
		}
		if err := insertVersion(ctx, tx, &b.Version); err != nil {
			return err
		}
		if status == nimbus.StatusBuilding {
			status = nimbus.StatusActive
		}
		return switchVersion(ctx, tx, &b.Version, status)
	})
}

// FailBuild implements store.Builds. What a failed function was to be stays readable; it serves as its version.
func (c *control) FailBuild(ctx context.Context, b *nimbus.Build, message string, at time.Time) error {
	return c.endBuild(ctx, b, func(tx *sql.Tx, status nimbus.Status) error {
		if status == nimbus.StatusBuilding {
			return setMessage(ctx, tx, b.Version.FunctionID, nimbus.StatusFailed, message, at)
		}
		if err := deleteUnmade(ctx, tx, b.Version.FunctionID); err != nil {
			return err
		}
		return setMessage(ctx, tx, b.Version.FunctionID, status, message, at)
	})
}

// endBuild takes a build off, if it is pending, and lets then do the rest.
func (c *control) endBuild(ctx context.Context, b *nimbus.Build, then func(tx *sql.Tx, status nimbus.Status) error) error {
	function := b.Version.FunctionID
	return c.file.write(ctx, func(tx *sql.Tx) error {
		var status nimbus.Status
		err := tx.QueryRowContext(ctx, `SELECT f.status FROM functions f JOIN builds b ON b.function_id = f.id
			WHERE f.id = ? AND b.id = ?`, function[:], b.ID[:]).Scan(&status)
		if errors.Is(err, sql.ErrNoRows) {
			return nimbus.Errorf(nimbus.CodeConflict, "build %s is no longer pending", b.ID)
		}
		if err != nil {
			return fmt.Errorf("read build: %w", err)
		}
		if err := deleteBuild(ctx, tx, function); err != nil {
			return err
		}
		return then(tx, status)
	})
}

func (c *control) builds(ctx context.Context, where string, args ...any) ([]nimbus.Build, error) {
	var found []nimbus.Build
	err := c.file.read(ctx, func(tx *sql.Tx) error {
		err := eachRow(ctx, tx, func(row scanner) error {
			var b nimbus.Build
			v := versionRow{version: &b.Version}
			if err := row.Scan(append([]any{idColumn{&b.ID}}, v.dest()...)...); err != nil {
				return err
			}
			v.finish()
			found = append(found, b)
			return nil
		}, "SELECT b.id, "+versionColumns+` FROM builds b
			JOIN versions v ON v.function_id = b.function_id AND v.number = b.number `+where+" ORDER BY b.id", args...)
		if err != nil {
			return err
		}
		for i := range found {
			if err := readTags(ctx, tx, &found[i].Version); err != nil {
				return err
			}
		}
		return nil
	})
	return found, err
}

func insertBuild(ctx context.Context, tx *sql.Tx, b *nimbus.Build) error {
	if b.Version.Made() {
		return nimbus.Errorf(nimbus.CodeInternal, "build %s is asked for with a package", b.ID)
	}
	if err := insertVersion(ctx, tx, &b.Version); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO builds (function_id, id, number) VALUES (?, ?, ?)",
		b.Version.FunctionID[:], b.ID[:], b.Version.Number)
	if err != nil {
		return fmt.Errorf("insert build: %w", err)
	}
	return nil
}

func deleteBuild(ctx context.Context, tx *sql.Tx, function nimbus.ID) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM builds WHERE function_id = ?", function[:]); err != nil {
		return fmt.Errorf("delete build: %w", err)
	}
	return nil
}

// deleteUnmade removes what a build was to make.
func deleteUnmade(ctx context.Context, tx *sql.Tx, function nimbus.ID) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM versions WHERE function_id = ? AND NOT "+made, function[:]); err != nil {
		return fmt.Errorf("delete the version that was not made: %w", err)
	}
	return nil
}

func setMessage(ctx context.Context, tx *sql.Tx, function nimbus.ID, status nimbus.Status, message string, at time.Time) error {
	_, err := tx.ExecContext(ctx, "UPDATE functions SET status = ?, status_message = ?, updated_at = ? WHERE id = ?",
		status, message, micros(at), function[:])
	if err != nil {
		return fmt.Errorf("update status: %w", err)
	}
	return nil
}
