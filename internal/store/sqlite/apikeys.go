package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"nimbus"
)

const apiKeyColumns = "id, tenant, name, hash, scopes, namespaces, created_at, expires_at"

// CreateAPIKey implements store.APIKeys.
func (c *control) CreateAPIKey(ctx context.Context, k *nimbus.APIKey) error {
	scopes, err := encodeJSON(k.Scopes)
	if err != nil {
		return translate(c.file.dir, err)
	}
	namespaces, err := encodeJSON(k.Namespaces)
	if err != nil {
		return translate(c.file.dir, err)
	}
	return c.file.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO api_keys ("+apiKeyColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			k.ID[:], k.Tenant, k.Name, k.Hash[:], scopes, namespaces, micros(k.CreatedAt), optionalMicros(k.ExpiresAt))
		if taken(err) {
			return nimbus.Errorf(nimbus.CodeConflict, "API key %q exists", k.Name)
		}
		if err != nil {
			return fmt.Errorf("insert API key: %w", err)
		}
		return nil
	})
}

// APIKey implements store.APIKeys.
func (c *control) APIKey(ctx context.Context, id nimbus.ID) (*nimbus.APIKey, error) {
	var k *nimbus.APIKey
	err := c.file.read(ctx, func(tx *sql.Tx) error {
		var err error
		k, err = scanAPIKey(tx.QueryRowContext(ctx, "SELECT "+apiKeyColumns+" FROM api_keys WHERE id = ?", id[:]))
		if errors.Is(err, sql.ErrNoRows) {
			return noAPIKey(id)
		}
		if err != nil {
			return fmt.Errorf("read API key: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// ListAPIKeys implements store.APIKeys.
func (c *control) ListAPIKeys(ctx context.Context, tenant string, page nimbus.Page) (nimbus.List[nimbus.APIKey], error) {
	var none nimbus.List[nimbus.APIKey]
	page, err := page.Checked()
	if err != nil {
		return none, err
	}
	var w where
	w.and("tenant = ?", tenant)
	if page.Cursor != "" {
		after, err := parseTimeKey(page.Cursor)
		if err != nil {
			return none, err
		}
		w.and("(created_at, id) > (?, ?)", after.us, after.id[:])
	}
	var found []nimbus.APIKey
	err = c.file.read(ctx, func(tx *sql.Tx) error {
		return eachRow(ctx, tx, func(row scanner) error {
			k, err := scanAPIKey(row)
			if err == nil {
				found = append(found, *k)
			}
			return err
		}, "SELECT "+apiKeyColumns+" FROM api_keys"+w.String()+" ORDER BY created_at, id LIMIT ?",
			append(w.args, page.Limit+1)...)
	})
	if err != nil {
		return none, err
	}
	return cut(found, page.Limit, func(k *nimbus.APIKey) string {
		return timeKey{us: micros(k.CreatedAt), id: k.ID}.cursor()
	}), nil
}

// DeleteAPIKey implements store.APIKeys.
func (c *control) DeleteAPIKey(ctx context.Context, tenant string, id nimbus.ID) error {
	return c.file.write(ctx, func(tx *sql.Tx) error {
		n, err := affected(tx.ExecContext(ctx, "DELETE FROM api_keys WHERE id = ? AND tenant = ?", id[:], tenant))
		if err != nil {
			return fmt.Errorf("delete API key: %w", err)
		}
		if n == 0 {
			return noAPIKey(id)
		}
		return nil
	})
}

// HasAPIKeys implements store.APIKeys.
func (c *control) HasAPIKeys(ctx context.Context) (bool, error) {
	var has bool
	err := c.file.read(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM api_keys)").Scan(&has)
		if err != nil {
			return fmt.Errorf("look for API keys: %w", err)
		}
		return nil
	})
	return has, err
}

func scanAPIKey(row scanner) (*nimbus.APIKey, error) {
	var k nimbus.APIKey
	var created int64
	var expires sql.NullInt64
	err := row.Scan(idColumn{&k.ID}, &k.Tenant, &k.Name, digestColumn{&k.Hash}, jsonColumn{&k.Scopes},
		jsonColumn{&k.Namespaces}, &created, &expires)
	if err != nil {
		return nil, err
	}
	k.CreatedAt, k.ExpiresAt = fromMicros(created), fromOptionalMicros(expires)
	return &k, nil
}

func noAPIKey(id nimbus.ID) error {
	return nimbus.Errorf(nimbus.CodeNotFound, "API key %s was not found", id)
}
