package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"

	"nimbus"
	"nimbus/internal/store"
)

// ListFunctions implements store.Functions. Every namespace asked for is read along its own index and the
// results are merged, so a page costs the same however many functions there are.
func (c *control) ListFunctions(ctx context.Context, q store.FunctionQuery) (nimbus.List[nimbus.Function], error) {
	var none nimbus.List[nimbus.Function]
	page, err := q.Page.Checked()
	if err != nil {
		return none, err
	}
	if q.Tenant == "" {
		return none, required("tenant")
	}
	var after nameKey
	if page.Cursor != "" {
		if after, err = parseNameKey(page.Cursor); err != nil {
			return none, err
		}
	}
	var found []nimbus.Function
	err = c.file.read(ctx, func(tx *sql.Tx) error {
		for _, namespace := range scopes(q.Namespaces) {
			query, args := functionsQuery(q, namespace, after, page.Limit+1)
			err := eachRow(ctx, tx, func(row scanner) error {
				f, err := scanFunction(row)
				if err == nil {
					found = append(found, *f)
				}
				return err
			}, query, args...)
			if err != nil {
				return err
			}
		}
		slices.SortFunc(found, func(a, b nimbus.Function) int {
			return cmp.Or(strings.Compare(fold(a.Name), fold(b.Name)), strings.Compare(a.Namespace, b.Namespace))
		})
		found = found[:min(len(found), page.Limit+1)]
		versions := make([]*nimbus.Version, len(found))
		for i := range found {
			versions[i] = &found[i].Version
		}
		return readTags(ctx, tx, versions...)
	})
	if err != nil {
		return none, err
	}
	return cut(found, page.Limit, func(f *nimbus.Function) string {
		return nameKey{folded: fold(f.Name), namespace: f.Namespace}.cursor()
	}), nil
}

// functionsQuery selects the functions of one namespace, or of the whole tenant when it is "".
func functionsQuery(q store.FunctionQuery, namespace string, after nameKey, limit int) (string, []any) {
	var w where
	w.and("f.tenant = ?", q.Tenant)
	if namespace != "" {
		w.and("f.namespace = ?", namespace)
	}
	// Of two lower bounds SQLite starts at either and steps over the rest: give it the higher one alone.
	prefix := fold(q.Name)
	if after.folded >= prefix && after != (nameKey{}) {
		w.and("(f.name_folded, f.namespace) > (?, ?)", after.folded, after.namespace)
	} else if prefix != "" {
		w.and("f.name_folded >= ?", prefix)
	}
	if end := prefixEnd(prefix); end != "" {
		w.and("f.name_folded < ?", end)
	}
	if q.Status != "" {
		w.and("f.status = ?", q.Status)
	}
	if q.Runtime != "" {
		w.and("v.runtime = ?", q.Runtime)
	}
	for _, tag := range q.Tags {
		w.and("EXISTS (SELECT 1 FROM version_tags t WHERE t.function_id = f.id AND t.number = f.version AND t.tag = ?)", tag)
	}
	return "SELECT " + functionColumns + " FROM " + functionTables + w.String() +
		" ORDER BY f.name_folded, f.namespace LIMIT ?", append(w.args, limit)
}

// where gathers conditions that must all hold.
type where struct {
	conditions []string
	args       []any
}

func (w *where) and(condition string, args ...any) {
	w.conditions = append(w.conditions, condition)
	w.args = append(w.args, args...)
}

// String returns the clause.
func (w *where) String() string { return " WHERE " + strings.Join(w.conditions, " AND ") }

// scopes returns the namespaces to look into, each once; "" stands for all of them.
func scopes(namespaces []string) []string {
	if len(namespaces) == 0 {
		return []string{""}
	}
	return slices.Compact(slices.Sorted(slices.Values(namespaces)))
}

// prefixEnd returns the lowest string above every one that starts with the prefix, "" if there is none.
func prefixEnd(prefix string) string {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1})
		}
	}
	return ""
}

func required(field string) error {
	var v nimbus.Invalid
	v.Add(field, "is required")
	return v.Err()
}
