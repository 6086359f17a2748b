package sqlite

import (
	"database/sql"
	"fmt"
	"testing"

	"nimbus"
	"nimbus/internal/store"
)

// BenchmarkListFunctions reads a page from the start, the middle and the end of 10,000 functions: the three
// cost the same.
func BenchmarkListFunctions(b *testing.B) {
	const functions = 10_000
	s := open(b)
	must(b, s.control.file.write(b.Context(), func(tx *sql.Tx) error {
		for i := range functions {
			f := sampleFunction(fmt.Sprintf("f%05d", i))
			_, err := tx.ExecContext(b.Context(), `INSERT INTO functions
				(id, tenant, namespace, name, name_folded, status, status_message, version, created_at, updated_at)
				VALUES (?, ?, ?, ?, ?, ?, '', 1, 0, 0)`, f.ID[:], f.Tenant, f.Namespace, f.Name, f.Name, f.Status)
			if err != nil {
				return err
			}
			f.Version.FunctionID = f.ID
			if err := insertVersion(b.Context(), tx, &f.Version); err != nil {
				return err
			}
		}
		return nil
	}))
	for name, at := range map[string]int{"start": 0, "middle": functions / 2, "end": functions - 101} {
		b.Run(name, func(b *testing.B) {
			q := store.FunctionQuery{Tenant: nimbus.DefaultTenant, Namespaces: []string{nimbus.DefaultNamespace},
				Page: nimbus.Page{Limit: 100, Cursor: nameKey{folded: fmt.Sprintf("f%05d", at), namespace: nimbus.DefaultNamespace}.cursor()}}
			b.ReportAllocs()
			for b.Loop() {
				l, err := s.control.ListFunctions(b.Context(), q)
				must(b, err)
				if len(l.Items) != 100 {
					b.Fatalf("%d functions on the page, want 100", len(l.Items))
				}
			}
		})
	}
}
