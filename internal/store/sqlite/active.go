package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"nimbus"
)

// activeQuery walks the functions' primary key.
const activeQuery = "SELECT " + functionColumns + " FROM " + functionTables + " WHERE f.id > ? AND f.status = ? ORDER BY f.id LIMIT ?"

// ActiveFunctions implements store.Functions.
func (c *control) ActiveFunctions(ctx context.Context, after nimbus.ID, limit int) ([]nimbus.Function, error) {
	var found []nimbus.Function
	err := c.file.read(ctx, func(tx *sql.Tx) error {
		found = nil // in case it is tried again
		return eachRow(ctx, tx, func(row scanner) error {
			f, err := scanFunction(row)
			if err == nil {
				found = append(found, *f)
			}
			return err
		}, activeQuery, after[:], nimbus.StatusActive, limit)
	})
	if err != nil {
		return nil, fmt.Errorf("list active functions: %w", err)
	}
	return found, nil
}
