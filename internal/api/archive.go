package api

import (
	"net/http"
	"time"

	"nimbus"
)

const mediaBytes = "application/octet-stream"

// backup answers with a copy of the installation, as it is made.
func (a *api) backup(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	if err := p.RequireInstallation(nimbus.ScopeAdmin); err != nil {
		return err
	}
	out := &download{w: w, name: "nimbus-" + time.Now().UTC().Format("20060102T150405Z") + ".backup"}
	if r.Method == http.MethodHead {
		out.begin()
		return nil
	}
	err := a.Archive.Backup(r.Context(), p, out)
	if err != nil && out.begun {
		return a.brokenOff(r, err)
	}
	return err
}

// download sends its headers with its first byte, so that an error before that can still be told.
type download struct {
	w     http.ResponseWriter
	name  string
	begun bool
}

func (d *download) begin() {
	d.begun = true
	d.w.Header().Set("Content-Type", mediaBytes)
	d.w.Header().Set("Content-Disposition", `attachment; filename="`+d.name+`"`)
	d.w.WriteHeader(http.StatusOK)
}

// Write implements io.Writer.
func (d *download) Write(p []byte) (int, error) {
	if !d.begun {
		d.begin()
	}
	return d.w.Write(p)
}

// restoreJSON says what becomes of an accepted backup.
type restoreJSON struct {
	Status string `json:"status" enum:"staged" doc:"It takes the installation's place once running calls have ended."`
}

func (a *api) restore(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	if err := p.RequireInstallation(nimbus.ScopeAdmin); err != nil {
		return err
	}
	if err := a.Archive.Restore(r.Context(), p, r.Body); err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, restoreJSON{Status: "staged"})
}
