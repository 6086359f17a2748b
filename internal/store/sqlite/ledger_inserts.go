package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"

	"nimbus"
	"nimbus/internal/store"
)

// idempotencyWindow is how long a key is remembered.
const idempotencyWindow = 24 * time.Hour

// ledgerInserts are the ledger's prepared statements on one connection. They go to the driver directly:
// database/sql would take as long again for a row as SQLite does.
type ledgerInserts struct {
	begin, commit, rollback *statement
	insert                  *statement
	findKey, putKey         *statement
	forgetKeys              *statement
}

func prepareInserts(driverConn any) (*ledgerInserts, error) {
	conn, ok := driverConn.(driver.Conn)
	if !ok {
		return nil, fmt.Errorf("prepare the ledger's statements: %T is no connection", driverConn)
	}
	i := &ledgerInserts{}
	for query, into := range map[string]**statement{
		"BEGIN IMMEDIATE": &i.begin,
		"COMMIT":          &i.commit,
		"ROLLBACK":        &i.rollback,
		"INSERT INTO entries (" + entryColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)": &i.insert,
		`SELECT entry_id, digest, expires_at FROM idempotency_keys
			WHERE namespace = ? AND function_id = ? AND idempotency_key = ?`: &i.findKey,
		`REPLACE INTO idempotency_keys (namespace, function_id, idempotency_key, entry_id, digest, expires_at)
			VALUES (?, ?, ?, ?, ?, ?)`: &i.putKey,
		// Two go for each that comes, so the table never outgrows a day's keys and no sweep is needed.
		`DELETE FROM idempotency_keys WHERE (namespace, function_id, idempotency_key) IN
			(SELECT namespace, function_id, idempotency_key FROM idempotency_keys
			WHERE expires_at <= ? ORDER BY expires_at LIMIT 2)`: &i.forgetKeys,
	} {
		s, err := prepareStatement(conn, query)
		if err != nil {
			return nil, errors.Join(err, i.close())
		}
		*into = s
	}
	return i, nil
}

// store writes the batch in one transaction; the error is that of the transaction. What is refused of an
// entry stands in the entry's own error.
func (i *ledgerInserts) store(batch []*appending) error {
	err := i.begin.exec()
	for _, a := range batch {
		if err == nil {
			err = i.entry(a)
		}
	}
	if err == nil {
		err = i.commit.exec()
	}
	if err != nil {
		_ = i.rollback.exec() // fails only when SQLite has rolled back already
	}
	return err
}

func (i *ledgerInserts) entry(a *appending) error {
	e := a.entry
	if e.IdempotencyKey != "" {
		known, err := i.seen(a)
		if known || err != nil {
			return err
		}
	}
	err := i.insert.exec(e.ID[:], e.Kind, e.Tenant, e.Namespace, e.FunctionID[:], e.Qualifier, optionalID(e.ParentID),
		optionalID(e.RootID), int64(e.Attempt), micros(e.DueAt), micros(e.CreatedAt), e.IdempotencyKey, e.Digest[:],
		e.EventBlob, e.Event)
	if taken(err) {
		a.err = nimbus.Errorf(nimbus.CodeConflict, "entry %s exists", e.ID)
		return nil
	}
	if err != nil {
		return err
	}
	a.accepted = store.Accepted{ID: e.ID}
	if e.IdempotencyKey == "" {
		return nil
	}
	if err := i.forgetKeys.exec(micros(e.CreatedAt)); err != nil {
		return err
	}
	return i.putKey.exec(e.Namespace, e.FunctionID[:], e.IdempotencyKey, e.ID[:], e.Digest[:],
		micros(e.CreatedAt.Add(idempotencyWindow)))
}

// seen answers an entry whose idempotency key the function knows.
func (i *ledgerInserts) seen(a *appending) (bool, error) {
	e := a.entry
	var first nimbus.ID
	var digest [32]byte
	row, err := i.findKey.query(3, e.Namespace, e.FunctionID[:], e.IdempotencyKey)
	if row == nil || err != nil {
		return false, err
	}
	if err := errors.Join(idColumn{&first}.Scan(row[0]), digestColumn{&digest}.Scan(row[1])); err != nil {
		return false, err
	}
	expires, ok := row[2].(int64)
	if !ok {
		return false, fmt.Errorf("scan expires_at: %T", row[2])
	}
	if expires <= micros(e.CreatedAt) {
		return false, nil
	}
	if digest != e.Digest {
		var v nimbus.Invalid
		v.Add("idempotency_key", "was used for another request in the last %d hours", int(idempotencyWindow.Hours()))
		a.err = v.Err()
		return true, nil
	}
	a.accepted = store.Accepted{ID: first, Duplicate: true}
	return true, nil
}

func (i *ledgerInserts) close() error {
	var errs []error
	for _, s := range []*statement{i.begin, i.commit, i.rollback, i.insert, i.findKey, i.putKey, i.forgetKeys} {
		if s != nil {
			errs = append(errs, s.stmt.Close())
		}
	}
	return errors.Join(errs...)
}

// statement is a prepared statement that reuses its list of arguments.
type statement struct {
	stmt driver.Stmt
	exe  driver.StmtExecContext
	qry  driver.StmtQueryContext
	args []driver.NamedValue
}

func prepareStatement(conn driver.Conn, query string) (*statement, error) {
	stmt, err := conn.Prepare(query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	exe, canExec := stmt.(driver.StmtExecContext)
	qry, canQuery := stmt.(driver.StmtQueryContext)
	if !canExec || !canQuery {
		return nil, errors.Join(fmt.Errorf("prepare: %T can't be executed", stmt), stmt.Close())
	}
	return &statement{stmt: stmt, exe: exe, qry: qry}, nil
}

func (s *statement) bind(values []driver.Value) []driver.NamedValue {
	s.args = s.args[:0]
	for n, v := range values {
		s.args = append(s.args, driver.NamedValue{Ordinal: n + 1, Value: v})
	}
	return s.args
}

// exec runs the statement. It can't be interrupted: an entry that was handed over is told the truth.
func (s *statement) exec(values ...driver.Value) error {
	_, err := s.exe.ExecContext(context.Background(), s.bind(values))
	return err
}

// query returns the first row, nil if there is none.
func (s *statement) query(columns int, values ...driver.Value) ([]driver.Value, error) {
	rows, err := s.qry.QueryContext(context.Background(), s.bind(values))
	if err != nil {
		return nil, err
	}
	row := make([]driver.Value, columns)
	err = rows.Next(row)
	if closeErr := rows.Close(); closeErr != nil {
		return nil, closeErr
	}
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return row, err
}
