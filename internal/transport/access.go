package transport

import (
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// logAccess writes one line a request: what succeeded at debug level, what was refused at info, what the
// platform could not do now at warn, and what it failed to do at error. Queries are left out, as they may hold
// secrets. Every answer is counted.
func logAccess(next http.Handler, requests Counter, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := recorderOf(w)
		completed := false
		defer func() {
			requests.CountRequest(rec.status)
			level := accessLevel(r.URL.Path, rec.status, completed)
			if !log.Enabled(r.Context(), level) {
				return
			}
			log.LogAttrs(r.Context(), level, "request",
				slog.String("method", r.Method),
				slog.String("path", r.URL.Path),
				slog.Int("status", rec.status),
				slog.Int64("bytes", rec.bytes),
				slog.Duration("duration", time.Since(start)),
				slog.String("remote", r.RemoteAddr),
				slog.Bool("aborted", !completed))
		}()
		next.ServeHTTP(rec, r)
		completed = true
		if rec.status == 0 {
			rec.status = http.StatusOK // what net/http sends for a handler that wrote nothing
		}
	})
}

// accessLevel is the level of an answer. 502 and 504 tell of user code that failed behind its function URL:
// that is its owner's business, and not to fill the operator's log. Nor are those who ask for the server's
// health until they like the answer.
func accessLevel(path string, status int, completed bool) slog.Level {
	switch {
	case strings.HasPrefix(path, "/health"):
		return slog.LevelDebug
	case !completed:
		return slog.LevelInfo
	case status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		return slog.LevelInfo
	case status == http.StatusServiceUnavailable || status == http.StatusInsufficientStorage:
		return slog.LevelWarn
	case status >= http.StatusInternalServerError:
		return slog.LevelError
	case status >= http.StatusBadRequest:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// recorderOf returns the recorder that w is, or makes one.
func recorderOf(w http.ResponseWriter) *recorder {
	if rec, ok := w.(*recorder); ok {
		return rec
	}
	return &recorder{ResponseWriter: w}
}

// WriteHeader implements http.ResponseWriter. Informational answers may come before the real one.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
