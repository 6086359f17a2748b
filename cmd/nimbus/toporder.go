package main

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"nimbus/client"
)

// topOrder is what `nimbus top` shows first.
type topOrder string

// The orders.
const (
	orderBusy     topOrder = "busy" // those that run a call, the longest first, then those used last
	orderMemory   topOrder = "memory"
	orderCPU      topOrder = "cpu"
	orderUses     topOrder = "uses"
	orderAge      topOrder = "age"
	orderState    topOrder = "state"
	orderFunction topOrder = "function"
)

func topOrders() []string {
	return []string{string(orderBusy), string(orderMemory), string(orderCPU), string(orderUses), string(orderAge),
		string(orderState), string(orderFunction)}
}

// Set implements pflag.Value.
func (o *topOrder) Set(s string) error {
	if !slices.Contains(topOrders(), s) {
		return errors.New("must be " + strings.Join(topOrders(), ", "))
	}
	*o = topOrder(s)
	return nil
}

// String implements pflag.Value.
func (o *topOrder) String() string { return string(*o) }

// Type implements pflag.Value.
func (o *topOrder) Type() string { return "order" }

// sort puts the instances in the order; equal ones stay oldest first.
func (o topOrder) sort(pools *client.Pools) {
	slices.SortStableFunc(pools.Instances, func(a, b client.Instance) int {
		switch o {
		case orderMemory:
			return cmp.Compare(known(b.MemoryMB), known(a.MemoryMB))
		case orderCPU:
			return cmp.Compare(known(b.CPUMS), known(a.CPUMS))
		case orderUses:
			return cmp.Compare(b.Uses, a.Uses)
		case orderAge:
			return a.StartedAt.Compare(b.StartedAt)
		case orderState:
			return cmp.Compare(a.State, b.State)
		case orderFunction:
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.FunctionName, b.FunctionName), cmp.Compare(a.Version, b.Version))
		}
		return byBusy(&a, &b)
	})
}

func byBusy(a, b *client.Instance) int {
	switch {
	case a.BusySince != nil && b.BusySince != nil:
		return a.BusySince.Compare(*b.BusySince)
	case a.BusySince != nil:
		return -1
	case b.BusySince != nil:
		return 1
	}
	return sinceOf(b).Compare(sinceOf(a))
}

// known is the number, below all others when there is none.
func known(v *float64) float64 {
	if v == nil {
		return -1
	}
	return *v
}
