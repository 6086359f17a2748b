//go:build soak

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// claim is a function as an answer told it. The zero claim is: there is none.
type claim struct {
	token   string // what it returns
	version int64
}

// belief is what a tenant knows of one function: what was answered last, and what was asked for since and
// never answered.
type belief struct {
	name  string
	made  int // times it was made: a name does not make it the same function
	sure  claim
	doubt *claim
}

// called is a call that was answered.
type called struct {
	of        *belief
	made      int
	id, event string
	at        time.Time
}

// tenant makes, changes, calls and deletes functions that are its alone, so that it knows what must be there.
type tenant struct {
	id       int
	dice     *rand.Rand
	client   *caller
	padding  int // bytes of code, at most
	beliefs  []*belief
	calls    []called
	next     int // the next token
	writes   int // answered with success
	refused  int // answered with 507: the disk is full
	problems []error
}

func newTenant(id, functions, padding int, dice *rand.Rand) *tenant {
	t := &tenant{id: id, dice: dice, padding: padding}
	for i := range functions {
		t.beliefs = append(t.beliefs, &belief{name: fmt.Sprintf("t%d-f%d", id, i)})
	}
	return t
}

// run does things until end is closed, or reports false when the server did not answer.
func (t *tenant) run(end <-chan struct{}) bool {
	for t.step() {
		select {
		case <-end:
			return true
		default:
		}
	}
	return false
}

// report tells the test what was wrong since the last report.
func (t *tenant) report(test *testing.T) {
	test.Helper()
	for _, problem := range t.problems {
		test.Error(problem)
	}
	t.problems = nil
}

// step does one thing at random. It reports false when the server did not answer.
func (t *tenant) step() bool {
	b := t.beliefs[t.dice.IntN(len(t.beliefs))]
	if b.sure == (claim{}) {
		return t.create(b)
	}
	switch n := t.dice.IntN(20); {
	case n < 4:
		return t.update(b)
	case n < 5:
		return t.resize(b)
	case n < 7:
		return t.remove(b)
	case n < 8:
		return t.read("/api/v1/functions/" + b.name + "/logs")
	case n < 9 && t.id == 0:
		return t.read("/api/v1/backup")
	}
	return t.call(b)
}

// code is a handler that returns a token of its own. The padding is no text that could be compressed.
func (t *tenant) code() (token, code string) {
	t.next++
	token = fmt.Sprintf("%d-%d", t.id, t.next)
	var padding strings.Builder
	for n := t.dice.IntN(t.padding + 1); padding.Len() < n; {
		padding.WriteString(strconv.FormatUint(t.dice.Uint64(), 36))
	}
	return token, fmt.Sprintf("def handle(e, c):\n print('said', e)\n return [%q, int(c.function_version)]\n# %s\n", token, &padding)
}

func (t *tenant) create(b *belief) bool {
	b.made++
	token, code := t.code()
	return t.write(b, claim{token, 1}, http.MethodPost, "/api/v1/functions", map[string]any{"name": b.name, "code": code})
}

func (t *tenant) update(b *belief) bool {
	token, code := t.code()
	return t.write(b, claim{token, b.sure.version + 1}, http.MethodPut, "/api/v1/functions/"+b.name, map[string]any{"code": code})
}

// resize makes a version of the same code.
func (t *tenant) resize(b *belief) bool {
	return t.write(b, claim{b.sure.token, b.sure.version + 1}, http.MethodPut, "/api/v1/functions/"+b.name,
		map[string]any{"memory_mb": 128 + t.dice.IntN(128), "description": strconv.Itoa(t.dice.Int())})
}

func (t *tenant) remove(b *belief) bool {
	return t.write(b, claim{}, http.MethodDelete, "/api/v1/functions/"+b.name, nil)
}

// write asks for a change. Until it is answered it is in doubt; refused for want of room, it never was.
func (t *tenant) write(b *belief, wanted claim, method, path string, body any) bool {
	b.doubt = &wanted
	r, err := t.client.send(method, path, body)
	if err != nil {
		return false
	}
	b.doubt = nil
	switch {
	case r.status/100 == 2:
		b.sure = wanted
		t.writes++
	case r.status == http.StatusInsufficientStorage:
		t.refused++
	default:
		t.complain("%s %s: %s", method, path, r)
	}
	return true
}

func (t *tenant) read(path string) bool {
	r, err := t.client.send(http.MethodGet, path, nil)
	if err != nil {
		return false
	}
	if r.status != http.StatusOK && (r.status != http.StatusInsufficientStorage && r.status != http.StatusConflict || path != "/api/v1/backup") {
		t.complain("GET %s: %s", path, r)
	}
	return true
}

// call calls a function and checks that it is the one that was answered last.
func (t *tenant) call(b *belief) bool {
	event := strconv.FormatUint(t.dice.Uint64()>>16, 10)
	a, r, err := t.client.invoke(b.name, event)
	if err != nil {
		return false
	}
	got, err := said(a)
	if r.status != http.StatusOK || err != nil || got != b.sure {
		t.complain("call %s: %+v, want %+v: %v %s", b.name, got, b.sure, err, r)
		return true
	}
	t.calls = append(t.calls, called{b, b.made, a.RequestID, event, time.Now()})
	return true
}

// said reads the answer of a tenant's function.
func said(a answer) (claim, error) {
	var c claim
	if a.StatusCode != http.StatusOK {
		return c, fmt.Errorf("status_code %d: %s", a.StatusCode, a.Error)
	}
	return c, json.Unmarshal(a.Body, &[]any{&c.token, &c.version})
}

func (t *tenant) complain(format string, args ...any) {
	t.problems = append(t.problems, fmt.Errorf("tenant %d: "+format, append([]any{t.id}, args...)...))
}

// there reports whether the function that was called is still there.
func (c called) there() bool { return c.of.sure != claim{} && c.of.made == c.made }

// settle looks at every function and makes doubts certain: each must be as it was answered last, or as it was
// asked for since.
func (t *tenant) settle() {
	for _, b := range t.beliefs {
		got, err := t.look(b.name)
		switch {
		case err != nil:
			t.complain("%s (%+v, in doubt %+v): %w", b.name, b.sure, b.doubt, err)
		case got == b.sure || b.doubt != nil && got == *b.doubt:
			b.sure = got
		default:
			t.complain("%s is %+v; answered was %+v, in doubt %+v", b.name, got, b.sure, b.doubt)
			b.sure = got
		}
		b.doubt = nil
	}
}

// look finds out what a function is, from its description and from a call, which must agree.
func (t *tenant) look(name string) (claim, error) {
	r, err := t.client.send(http.MethodGet, "/api/v1/functions/"+name, nil)
	if err != nil || r.status == http.StatusNotFound {
		return claim{}, err
	}
	var described struct {
		Version int64
		Status  string
	}
	if err := json.Unmarshal(r.body, &described); err != nil {
		return claim{}, err
	}
	a, invoked, err := t.client.invoke(name, "0")
	if err != nil {
		return claim{}, err
	}
	got, err := said(a)
	if err != nil || described.Version != got.version || described.Status != "active" {
		return got, fmt.Errorf("described as %s, called: %s: %w", r, invoked, err)
	}
	return got, nil
}
