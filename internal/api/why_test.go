package api

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"nimbus"
	"nimbus/internal/invoke/why"
)

func (f invocations) Why(context.Context, nimbus.Principal, nimbus.ID) (*nimbus.Invocation, why.Report, error) {
	v := testInvocation()
	return v, why.Explain(v, &testFunction().Version.Settings, nimbus.DefaultLimits(), moment), f.err
}

func TestWhy(t *testing.T) {
	t.Parallel()
	w := request{method: "GET", path: "/api/v1/invocations/" + testID(2).String() + "/why"}.send(t, &fakes{})
	if w.Code != http.StatusOK {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	golden(t, "why", w.Body.Bytes())
	w = request{method: "GET", path: "/api/v1/invocations/nonsense/why"}.send(t, &fakes{})
	if d := problemOf(t, w); d.Code != nimbus.CodeNotFound {
		t.Errorf("%+v", d)
	}
}

func TestWhyNamesTheStepsAndLimitsThereAre(t *testing.T) {
	t.Parallel()
	reg := newRegistry()
	for _, c := range []struct {
		schema   *huma.Schema
		declared []any
	}{
		{reg.Schema(reflect.TypeFor[whyStepJSON](), false, ""), enum(why.StepNames())},
		{reg.Schema(reflect.TypeFor[whyLimitJSON](), false, ""), enum(why.LimitNames())},
	} {
		if got := c.schema.Properties["name"].Enum; !slices.Equal(got, c.declared) {
			t.Errorf("documented %v, declared %v", got, c.declared)
		}
	}
}
