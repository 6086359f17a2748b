package pool

import (
	"fmt"
	"testing"

	"nimbus/internal/runtime"
)

func TestStocksAreFoundByEveryNameTheyServe(t *testing.T) {
	t.Parallel()
	python := newStock(nil, runtime.Runtime{Name: "python3.11", Language: runtime.Python, Aliases: []string{"python3"}})
	compiled := newStock(nil, runtime.Runtime{Name: "go1.26", Language: runtime.Go, Aliases: []string{"go"}})
	var x stockIndex
	x.fill(map[stockKey]*stock{{"sandbox", "python3.11"}: python, {"sandbox", "go1.26"}: compiled})
	for range 2 { // looked for, then remembered
		for name, want := range map[string]*stock{"python3.11": python, "python3": python, "python3.12": nil, "": nil,
			"go1.26": compiled, "go": compiled, "go1.24": compiled, "go1.24.1": nil} {
			if got := x.find(stockKey{"sandbox", name}); got != want {
				t.Errorf("%q finds %v", name, got)
			}
			if got := x.find(stockKey{"other", name}); got != nil {
				t.Errorf("%q is found on another driver", name)
			}
		}
	}
	if known := *x.byName.Load(); known[stockKey{"sandbox", "go1.24"}] != compiled {
		t.Error("a name is looked for each time")
	}
	for i := range 2 * maxNames / 1000 {
		x.find(stockKey{"sandbox", fmt.Sprintf("go1.%d", i)})
	}
	if n := len(x.stocks); n != 2 {
		t.Errorf("the stocks have grown to %d", n)
	}
}
