package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"nimbus"
)

// The stock of a runtime whose entry leaves it out.
const (
	defaultMinWarm    = 2
	defaultTargetWarm = 5
	defaultMaxTotal   = 1000
	maxInstances      = 100_000
)

// The most that a function's size can be configured to.
const (
	maxMemoryMB = 1 << 20
	maxCPUMilli = 1_024_000
)

// stockBound is what one entry of the list is.
const stockBound = "{runtime, min_warm, target_warm, max_total, memory_mb, vcpus}"

// stocks is a list of runtimes and how many instances to keep of each. In the environment it is written like
// in the file: [{runtime: python3, min_warm: 2}].
func stocks(field func(*Config) *[]PoolRuntime) kind {
	const bound = "a list of " + stockBound
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
	}, func(c *Config) string { return showStocks(*field(c)) }}
}

// showStocks writes the list as it would be written in one line of the file.
func showStocks(list []PoolRuntime) string {
	written := make([]string, len(list))
	for i, r := range list {
		name, _ := json.Marshal(r.Runtime) // text always has a form in JSON, which is YAML
		written[i] = fmt.Sprintf("{runtime: %s, min_warm: %d, target_warm: %d, max_total: %d", name, r.MinWarm, r.TargetWarm, r.MaxTotal)
		if r.Memory > 0 {
			written[i] += fmt.Sprintf(", memory_mb: %d", r.Memory/nimbus.MiB)
		}
		if r.CPUMilli > 0 {
			written[i] += ", vcpus: " + strconv.FormatFloat(float64(r.CPUMilli)/1000, 'f', -1, 64)
		}
		written[i] += "}"
	}
	return "[" + strings.Join(written, ", ") + "]"
}

func readStock(raw any) (PoolRuntime, error) {
	entry, ok := raw.(map[string]any)
	if !ok {
		return PoolRuntime{}, mustBe(stockBound, raw)
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
		case "memory_mb":
			n, ok := integer(value)
			if !ok || n < 1 || n > maxMemoryMB {
				errs = append(errs, fmt.Errorf("%s %w", key, mustBe(fmt.Sprintf("1 to %d", maxMemoryMB), value)))
			}
			stock.Memory = n * nimbus.MiB
		case "vcpus":
			var ok bool
			if stock.CPUMilli, ok = milli(value); !ok {
				errs = append(errs, fmt.Errorf("%s %w", key, mustBe(fmt.Sprintf("0.001 to %d cores", maxCPUMilli/1000), value)))
			}
		default:
			errs = append(errs, fmt.Errorf("has an unknown key %s; it takes runtime, min_warm, target_warm, max_total, memory_mb and vcpus", key))
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

// milli reads a number of cores, whole or not, as thousandths of one.
func milli(raw any) (int, bool) {
	switch raw.(type) {
	case string, int, int64, uint64, float64:
		cores, err := strconv.ParseFloat(fmt.Sprint(raw), 64)
		n := int(math.Round(cores * 1000))
		return n, err == nil && cores > 0 && cores <= maxCPUMilli/1000 && n > 0
	}
	return 0, false
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
