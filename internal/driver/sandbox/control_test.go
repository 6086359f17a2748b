//go:build linux && (amd64 || arm64)

package sandbox

import (
	"strings"
	"testing"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/driver/sandbox/cgroup"
)

func TestSlotsDoNotOverlap(t *testing.T) {
	t.Parallel()
	s := newSlots(0, "owner")
	seen := make(map[uint32]bool)
	for range slotCount {
		base, err := s.take()
		if err != nil {
			t.Fatal(err)
		}
		if base < lowestUID || base+uidRange > highestUID || (base-s.base)%uidRange != 0 || seen[base] {
			t.Errorf("range at %#x", base)
		}
		seen[base] = true
	}
	if _, err := s.take(); err == nil {
		t.Error("more ranges than there are")
	}
	s.give(s.base + 3*uidRange)
	if base, err := s.take(); err != nil || base != s.base+3*uidRange {
		t.Errorf("took %#x, %v", base, err)
	}
}

func TestUserIDsAreDistinct(t *testing.T) {
	t.Parallel()
	z := &zygote{uids: make(map[uint32]bool)}
	seen := make(map[uint32]bool)
	for seq := range uint64(lastUID - firstUID) {
		uid := z.takeUID(seq * 7)
		if uid < firstUID || uid >= lastUID || seen[uid] {
			t.Fatalf("user id %d", uid)
		}
		seen[uid] = true
	}
}

func TestMissingLimits(t *testing.T) {
	t.Parallel()
	none := &cgroup.System{}
	for _, r := range []driver.Resources{{Memory: 1}, {CPUMilli: 1}, {PIDs: 1}} {
		strict := &Driver{system: none}
		if err := strict.canHold(r); nimbus.CodeOf(err) != nimbus.CodeConflict || !strings.Contains(err.Error(), "allow_missing_limits") {
			t.Errorf("%+v: error %v", r, err)
		}
		lax := &Driver{system: none, config: Config{AllowMissingLimits: true}}
		if err := lax.canHold(r); err != nil {
			t.Errorf("%+v: error %v though missing limits are allowed", r, err)
		}
		if f := strict.probeLimit("limit", cgroup.Memory); f.OK || !f.essential {
			t.Errorf("probe: %+v", f)
		}
		if f := lax.probeLimit("limit", cgroup.Memory); f.OK || f.essential {
			t.Errorf("probe: %+v", f)
		}
	}
	if err := (&Driver{system: none}).canHold(driver.Resources{Tmp: 1}); err != nil {
		t.Errorf("no limit asked for: %v", err)
	}
}
