package client

import (
	"context"
	"net/http"
)

// Setting is one key of the server's configuration.
type Setting struct {
	Name    string `json:"name"`
	Value   string `json:"value"` // what holds; secrets are hidden
	Default string `json:"default"`
	Bound   string `json:"bound"`
	Meaning string `json:"meaning"`
	Live    bool   `json:"live"`              // a reload changes it; otherwise it takes a restart
	Pending string `json:"pending,omitempty"` // what a restart will bring, as of the last reload
}

// Settings is the server's configuration.
type Settings struct {
	Items []Setting `json:"items"`
}

// Reload is what reading the configuration again came to.
type Reload struct {
	Changed []SettingChange `json:"changed"`
	Pending []SettingChange `json:"pending_restart"`
}

// SettingChange is a key whose value changes.
type SettingChange struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Settings returns the configuration in effect, in the order of the documents.
func (c *Client) Settings(ctx context.Context) (*Settings, error) {
	out := &Settings{}
	return out, c.do(ctx, call{method: http.MethodGet, segments: []string{"settings"}}, nil, out)
}

// ReloadSettings has the server read its configuration again. When it is wrong nothing changes, and the
// *Problem tells every reason.
func (c *Client) ReloadSettings(ctx context.Context) (*Reload, error) {
	out := &Reload{}
	return out, c.do(ctx, call{method: http.MethodPost, segments: []string{"settings", "reload"}}, nil, out)
}
