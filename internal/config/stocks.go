package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// The stock of a runtime whose entry leaves it out.
const (
	defaultMinWarm    = 2
	defaultTargetWarm = 5
	defaultMaxTotal   = 1000
	maxInstances      = 100_000
)

// stocks is a list of runtimes and how many instances to keep of each. In the environment it is written like
// in the file: [{runtime: python3, min_warm: 2}].
func stocks(field func(*Config) *[]PoolRuntime) kind {
	const bound = "a list of {runtime, min_warm, target_warm, max_total}"
	return kind{bound, func(c *Config, raw any) error {
		if written, ok := raw.(string); ok {
			raw = nil // what is no YAML is no list either
			if err := yaml.Unmarshal([]byte(written), &raw); err != nil {
				return mustBe(bound, written)
			}
		}
		entries, ok := raw.([]any)
		if !ok {
			return mustBe(bound, raw)
		}
		var (
			list []PoolRuntime
			errs []error
		)
		for i, entry := range entries {
			stock, err := readStock(entry)
			if err == nil && slices.ContainsFunc(list, func(o PoolRuntime) bool { return o.Runtime == stock.Runtime }) {
				err = fmt.Errorf("names %s once more", stock.Runtime)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("[%d] %w", i, err))
			}
			list = append(list, stock)
		}
		*field(c) = list
		return errors.Join(errs...)
	}}
}

func readStock(raw any) (PoolRuntime, error) {
	entry, ok := raw.(map[string]any)
	if !ok {
		return PoolRuntime{}, mustBe("{runtime, min_warm, target_warm, max_total}", raw)
	}
	var (
		stock PoolRuntime
		errs  []error
		given = make(map[string]int)
	)
	for key, value := range entry {
		switch key {
		case "runtime":
			stock.Runtime, _ = value.(string)
		case "min_warm", "target_warm", "max_total":
			n, ok := integer(value)
			if !ok || n < 0 || n > maxInstances {
				errs = append(errs, fmt.Errorf("%s %w", key, mustBe(fmt.Sprintf("0 to %d", maxInstances), value)))
			}
			given[key] = int(n)
		default:
			errs = append(errs, fmt.Errorf("has an unknown key %s; it takes runtime, min_warm, target_warm and max_total", key))
		}
	}
	if stock.Runtime == "" {
		errs = append(errs, errors.New("needs a runtime"))
	}
	stock.fill(given)
	if len(errs) == 0 && (stock.MinWarm > stock.TargetWarm || stock.TargetWarm > stock.MaxTotal || stock.MaxTotal < 1) {
		errs = append(errs, fmt.Errorf("min_warm %d, target_warm %d and max_total %d must not descend, and max_total be 1 or more",
			stock.MinWarm, stock.TargetWarm, stock.MaxTotal))
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return stock, errors.Join(errs...)
}

// fill sets the numbers that were given, and the others to their defaults as far as those allow.
func (r *PoolRuntime) fill(given map[string]int) {
	at := func(key string, def int) int {
		if n, ok := given[key]; ok {
			return n
		}
		return def
	}
	r.MaxTotal = at("max_total", max(defaultMaxTotal, given["min_warm"], given["target_warm"]))
	r.TargetWarm = at("target_warm", min(max(defaultTargetWarm, given["min_warm"]), r.MaxTotal))
	r.MinWarm = at("min_warm", min(defaultMinWarm, r.TargetWarm))
}
