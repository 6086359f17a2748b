package function

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"nimbus"
)

// Every bound, at its edges: what is just inside is taken, what is just outside names the field.
func TestBounds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	limits := b.cfg.Limits
	big := strings.Repeat("v", int(limits.Env)-1)
	tags := func(n int) []string {
		tags := make([]string, n)
		for i := range tags {
			tags[i] = fmt.Sprint("tag", i)
		}
		return tags
	}
	env := func(name, value string) Input { return Input{EnvVars: map[string]string{name: value}} }
	for name, c := range map[string]struct {
		in    Input
		field string // "" = accepted
	}{
		"memory least":           {Input{MemoryMB: ptr(int64(128))}, ""},
		"memory below":           {Input{MemoryMB: ptr(int64(127))}, "memory_mb"},
		"memory most":            {Input{MemoryMB: ptr(int64(10240))}, ""},
		"memory above":           {Input{MemoryMB: ptr(int64(10241))}, "memory_mb"},
		"memory that overflows":  {Input{MemoryMB: ptr(int64(1 << 60))}, "memory_mb"},
		"memory below zero":      {Input{MemoryMB: ptr(int64(-1 << 63))}, "memory_mb"},
		"timeout least":          {Input{TimeoutSec: ptr(int64(1))}, ""},
		"timeout zero":           {Input{TimeoutSec: ptr(int64(0))}, "timeout_sec"},
		"timeout most":           {Input{TimeoutSec: ptr(int64(900))}, ""},
		"timeout above":          {Input{TimeoutSec: ptr(int64(901))}, "timeout_sec"},
		"timeout that overflows": {Input{TimeoutSec: ptr(int64(1 << 62))}, "timeout_sec"},
		"description most":       {Input{Description: ptr(strings.Repeat("ü", 1024))}, ""},
		"description above":      {Input{Description: ptr(strings.Repeat("x", 1025))}, "description"},
		"description with NUL":   {Input{Description: ptr("a\x00")}, "description"},
		"description not UTF-8":  {Input{Description: ptr("\xff")}, "description"},
		"env most":               {env("A", big), ""},
		"env above":              {env("AB", big), "env_vars"},
		"env name with a dash":   {env("A-B", ""), "env_vars"},
		"env name empty":         {env("", "x"), "env_vars"},
		"env name with a digit":  {env("1A", "x"), "env_vars"},
		"env name with =":        {env("A=B", "x"), "env_vars"},
		"env name with newline":  {env("A\n", "x"), "env_vars"},
		"env value with NUL":     {env("A", "x\x00"), "env_vars"},
		"env value not UTF-8":    {env("A", "\xff"), "env_vars"},
		"env value unicode":      {env("_a1", "ünï ✓\nline"), ""},
		"env reserved":           {env("AWS_LAMBDA_RUNTIME_API", "x"), "env_vars"},
		"env _HANDLER":           {env("_HANDLER", "x"), "env_vars"},
		"env LAMBDA_TASK_ROOT":   {env("LAMBDA_TASK_ROOT", "x"), "env_vars"},
		"env of the platform":    {env("NIMBUS_X", "x"), "env_vars"},
		"env AWS_REGION":         {env("AWS_REGION", "x"), ""},
		"tags most":              {Input{Tags: tags(32)}, ""},
		"tags above":             {Input{Tags: tags(33)}, "tags"},
		"tag longest":            {Input{Tags: []string{strings.Repeat("t", 128)}}, ""},
		"tag too long":           {Input{Tags: []string{strings.Repeat("t", 129)}}, "tags"},
		"tag empty":              {Input{Tags: []string{""}}, "tags"},
		"tag with newline":       {Input{Tags: []string{"a\nb"}}, "tags"},
		"tag not UTF-8":          {Input{Tags: []string{"\xff"}}, "tags"},
		"tag printable":          {Input{Tags: []string{"team: ünï ✓"}}, ""},
		"concurrency zero":       {Input{MaxConcurrency: ptr(0)}, ""},
		"concurrency below":      {Input{MaxConcurrency: ptr(-1)}, "max_concurrency"},
		"concurrency above":      {Input{MaxConcurrency: ptr(maxConcurrency + 1)}, "max_concurrency"},
		"idle zero":              {Input{IdleTimeout: ptr(time.Duration(0))}, ""},
		"idle least":             {Input{IdleTimeout: ptr(time.Second)}, ""},
		"idle below":             {Input{IdleTimeout: ptr(time.Second - 1)}, "idle_timeout"},
		"idle negative":          {Input{IdleTimeout: ptr(-time.Second)}, "idle_timeout"},
		"idle above":             {Input{IdleTimeout: ptr(24*time.Hour + 1)}, "idle_timeout"},
		"cpu most":               {Input{CPUMilli: ptr(64_000)}, ""},
		"cpu above":              {Input{CPUMilli: ptr(64_001)}, "cpu_milli"},
		"cpu below":              {Input{CPUMilli: ptr(-1)}, "cpu_milli"},
		"tmp least":              {Input{TmpMB: ptr(int64(1))}, ""},
		"tmp zero":               {Input{TmpMB: ptr(int64(0))}, "tmp_mb"},
		"tmp above":              {Input{TmpMB: ptr(int64(10241))}, "tmp_mb"},
		"capture":                {Input{Capture: ptr(nimbus.CaptureAll)}, ""},
		"capture unknown":        {Input{Capture: ptr(nimbus.Capture("some"))}, "capture"},
		"event format":           {Input{EventFormat: ptr(nimbus.EventFormatRaw)}, ""},
		"event format unknown":   {Input{EventFormat: ptr(nimbus.EventFormat(""))}, "event_format"},
		"handler form":           {Input{Handler: ptr("../../etc.passwd")}, "handler"},
		"handler without module": {Input{Runtime: ptr("python3"), Handler: ptr("handle")}, "handler"},
		"runtime unknown":        {Input{Runtime: ptr("python4")}, "runtime"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var v nimbus.Invalid
			b.merge(&v, b.unsaid(), c.in)
			switch got := fields(v.Err()); {
			case c.field == "" && len(got) != 0:
				t.Errorf("refused: %v", v.Err())
			case c.field != "" && !slices.Equal(got, []string{c.field}):
				t.Errorf("at fault: %v, %v; want %s", got, v.Err(), c.field)
			}
		})
	}
}

func TestAllFieldsAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.Create(t.Context(), owner(), "bad namespace", nimbus.NewID().String(), Input{
		MemoryMB: ptr(int64(1)), TimeoutSec: ptr(int64(1000)), EnvVars: map[string]string{"A-B": "secret-value", "NIMBUS_A": ""},
		Tags: []string{""}, Runtime: ptr("cobol"), Driver: ptr("none"), Handler: ptr("/x"),
	})
	wantCode(t, err, nimbus.CodeInvalid)
	want := []string{"code", "driver", "env_vars", "handler", "memory_mb", "name", "namespace", "runtime", "tags", "timeout_sec"}
	if got := fields(err); !slices.Equal(got, want) {
		t.Errorf("at fault: %v, want %v", got, want)
	}
	if strings.Contains(err.Error(), "secret-value") {
		t.Errorf("a value is told: %v", err)
	}
}

func TestMergeLeavesItsInput(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	env, tags := map[string]string{"A": "1"}, []string{"b", "a", "b"}
	var v nimbus.Invalid
	out := b.merge(&v, b.unsaid(), Input{EnvVars: env, Tags: tags})
	out.Env["B"] = "2"
	out.Tags[0] = "changed"
	if !maps.Equal(env, map[string]string{"A": "1"}) || !slices.Equal(tags, []string{"b", "a", "b"}) {
		t.Errorf("the input came to %v, %v", env, tags)
	}
}
