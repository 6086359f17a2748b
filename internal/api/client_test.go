package api

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http/httptest"
	"strings"
	"testing"

	"nimbus"
	"nimbus/client"
	"nimbus/internal/invoke"
	"nimbus/internal/obs"
	"nimbus/internal/transport"
)

// TestClientUnderstands lets the public client read what the API answers, and the other way round.
func TestClientUnderstands(t *testing.T) {
	t.Parallel()
	f := &fakes{
		call: func(_ context.Context, req *invoke.Request) (*invoke.Result, error) {
			if req.Stream != nil {
				req.Begin(false)
				for _, n := range []string{"1", "2"} {
					if err := req.Stream("json", []byte(n)); err != nil {
						return nil, err
					}
				}
				return &invoke.Result{ID: req.ID, StatusCode: 200, Streamed: true, Version: 3}, nil
			}
			return &invoke.Result{ID: req.ID, StatusCode: 200, Body: req.Event, Version: 3, Logs: []string{"line"}}, nil
		},
		follow: func(ctx context.Context) iter.Seq2[obs.LogLine, error] {
			return func(yield func(obs.LogLine, error) bool) {
				if yield(testLine("followed"), nil) {
					<-ctx.Done()
				}
			}
		},
		backup: func(w io.Writer) error { _, err := io.WriteString(w, "tar"); return err },
	}
	server := httptest.NewServer(newServer(t, f, transport.Anyone{}, nil))
	defer server.Close()
	c, err := client.New(server.URL, client.WithHTTPClient(server.Client()), client.WithNamespace("default"))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	no := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	made, err := c.CreateFunction(ctx, client.FunctionInput{Name: "hello", Archive: strings.NewReader("PK zip"), ArchiveSize: 6, MemoryMB: new(int64(512))})
	no(err)
	if made.ID != testID(1).String() || made.Version != 3 || made.IdleTimeout != "2m0s" || string(f.archive) != "PK zip" || *f.function.MemoryMB != 512 {
		t.Errorf("made %+v of %+v", made, f.function)
	}
	_, err = c.UpdateFunction(ctx, "hello", client.FunctionInput{Status: new("inactive")})
	no(err)
	page, err := c.ListFunctions(ctx, client.FunctionQuery{Tags: []string{"a", "b"}, Limit: 5})
	no(err)
	if len(page.Items) != 1 || page.NextCursor != "more" || len(f.query.Tags) != 2 || f.query.Page.Limit != 5 {
		t.Errorf("page %+v of %+v", page, f.query)
	}

	result, err := c.Invoke(ctx, "hello", client.InvokeInput{Event: []byte(`{"a":1}`), Logs: true})
	no(err)
	if string(result.Body) != `{"a":1}` || result.Version != 3 || len(result.Logs) != 1 {
		t.Errorf("result %+v", result)
	}
	var items []string
	_, err = c.InvokeStream(ctx, "hello", client.InvokeInput{}, func(data []byte) error { items = append(items, string(data)); return nil })
	no(err)
	if strings.Join(items, ",") != "1,2" {
		t.Errorf("items %v", items)
	}

	record, err := c.Invocation(ctx, testID(2).String())
	no(err)
	if record.VMID != "i-1" || record.DurationMS != 3.25 || *record.MemoryUsedMB != 20.3 || record.Phases.ClaimMS != 0.3 || !json.Valid(record.Output) {
		t.Errorf("record %+v", record)
	}
	lines, err := c.Logs(ctx, "hello", client.LogQuery{Since: moment})
	no(err)
	if len(lines.Items) != 2 || lines.Items[0].Text != "one" || !f.logs.Since.Equal(moment) {
		t.Errorf("lines %+v of %+v", lines, f.logs)
	}
	for line, err := range c.FollowLogs(ctx, "hello", client.LogQuery{}, nil) {
		no(err)
		if line.Text != "followed" || line.InvocationID != testID(2).String() {
			t.Errorf("line %+v", line)
		}
		break
	}
	key, err := c.CreateAPIKey(ctx, client.APIKeyInput{Name: "ci", Scopes: []string{"read"}})
	no(err)
	if key.Secret == "" || f.key.Scopes[0] != nimbus.ScopeRead {
		t.Errorf("key %+v of %+v", key, f.key)
	}
	found, err := c.Runtimes(ctx)
	no(err)
	if len(found.Items) != 2 || len(found.Items[1].Trees) != 1 || len(found.Toolchains) != 1 || len(found.Rejected) != 1 {
		t.Errorf("runtimes %+v", found)
	}
	var backup strings.Builder
	no(c.Backup(ctx, &backup))
	no(c.Restore(ctx, strings.NewReader(backup.String())))
	if string(f.restored) != "tar" {
		t.Errorf("restored %q", f.restored)
	}
	no(c.DeleteAPIKey(ctx, "ci"))
	no(c.DeleteFunction(ctx, "hello"))
}
