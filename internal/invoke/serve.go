package invoke

import (
	"context"
	"strconv"

	"nimbus"
	"nimbus/internal/pool"
)

// servePage is how many functions are looked at in one go when the service starts.
const servePage = 200

// Catalog lists the functions there are.
type Catalog interface {
	// ActiveFunctions returns functions that take calls, of every tenant, by id and after the one given.
	ActiveFunctions(ctx context.Context, after nimbus.ID, limit int) ([]nimbus.Function, error)
}

// serveAll tells the pool of every function there is, as changes do of one.
func (s *Service) serveAll(ctx context.Context) {
	var after nimbus.ID
	for ctx.Err() == nil {
		page, err := s.Catalog.ActiveFunctions(ctx, after, servePage)
		if err != nil {
			if ctx.Err() == nil {
				s.Log.ErrorContext(ctx, "functions could not be listed, trying again", "error", err)
			}
			wait(ctx, retirePause)
			continue
		}
		for i := range page {
			s.serve(&page[i])
		}
		if len(page) < servePage {
			return
		}
		after = page[len(page)-1].ID
	}
}

// serve tells the pool what a function asks of it.
func (s *Service) serve(f *nimbus.Function) {
	if f.Status != nimbus.StatusActive {
		s.Pool.Forget(f.ID)
		return
	}
	s.Pool.Serve(specOf(f, &f.Version))
}

// specOf is a version as the pool sees it.
func specOf(f *nimbus.Function, v *nimbus.Version) *pool.Spec {
	return &pool.Spec{FunctionID: f.ID, FunctionName: f.Name, Namespace: f.Namespace, Version: v,
		VersionText: strconv.FormatInt(v.Number, 10)}
}
