package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"nimbus"
)

// Settings shows the configuration of the server, and has it read again.
type Settings interface {
	List(ctx context.Context, p nimbus.Principal) ([]Setting, error)
	Reload(ctx context.Context, p nimbus.Principal) (Reload, error)
}

// Setting is one key of the configuration.
type Setting struct {
	Name    string `json:"name"`
	Value   string `json:"value" doc:"What holds, as one would write it. Secrets are hidden."`
	Default string `json:"default"`
	Bound   string `json:"bound" doc:"What a value must be."`
	Meaning string `json:"meaning"`
	Live    bool   `json:"live" doc:"A reload changes it; otherwise it takes a restart."`
	Pending string `json:"pending,omitempty" doc:"What the configuration said at the last reload, and a restart will bring."`
}

// Reload is what reading the configuration again came to.
type Reload struct {
	Changed []SettingChange `json:"changed" doc:"What holds from now on."`
	Pending []SettingChange `json:"pending_restart" doc:"What the configuration says and a restart will bring."`
}

// SettingChange is a key whose value changes.
type SettingChange struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
}

type settingsJSON struct {
	Items []Setting `json:"items"`
}

func (a *api) settingsOperations(reg huma.Registry) []operation {
	return []operation{{
		doc: huma.Operation{
			OperationID: "list-settings", Method: http.MethodGet, Path: "/api/v1/settings", Tags: []string{tagServer},
			Summary:   "Show the configuration in effect",
			Responses: answers(reg, http.StatusOK, jsonAnswer[settingsJSON](reg, "Every key, in the order of the documents."), refusals()...),
		},
		handle: a.listSettings,
	}, {
		doc: huma.Operation{
			OperationID: "reload-settings", Method: http.MethodPost, Path: "/api/v1/settings/reload", Tags: []string{tagServer},
			Summary: "Read the configuration again",
			Description: "No call is dropped. When the configuration is wrong, every problem is told and nothing changes. " +
				"Keys that take a restart are told and wait for it.",
			Responses: answers(reg, http.StatusOK, jsonAnswer[Reload](reg, "What changed, and what waits for a restart."), refusals()...),
		},
		handle: a.reloadSettings,
	}}
}

func (a *api) listSettings(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	items, err := a.Settings.List(r.Context(), p)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, settingsJSON{Items: items})
}

func (a *api) reloadSettings(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	done, err := a.Settings.Reload(r.Context(), p)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, done)
}
