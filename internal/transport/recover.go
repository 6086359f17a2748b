package transport

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"nimbus/internal/problem"
)

// recoverPanics answers a panic with a 500 problem and logs the stack. Where the answer has begun, the
// connection is broken off instead, as it is for a handler that panics with http.ErrAbortHandler.
func recoverPanics(next http.Handler, problems *problem.Writer, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := recorderOf(w)
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(http.ErrAbortHandler)
			}
			log.ErrorContext(r.Context(), "handler panicked", "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			if rec.status != 0 {
				panic(http.ErrAbortHandler)
			}
			problems.Write(rec, r, fmt.Errorf("panic: %v", cause))
		}()
		next.ServeHTTP(rec, r)
	})
}
