//go:build linux

package cgroup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	unified := t.TempDir()
	mustWrite(t, "cpuset cpu io memory hugetlb pids\n", unified, "cgroup.controllers")
	hybrid := t.TempDir()
	mustWrite(t, "hugetlb\n", hybrid, "cgroup.controllers")
	const v1 = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /cg/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /cg/mem\040ory rw,relatime - cgroup cgroup rw,memory
37 31 0:34 / /cg/freezer rw,relatime - cgroup cgroup rw,freezer
39 31 0:36 / /cg/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /cg/systemd rw,relatime - cgroup cgroup rw,name=systemd
`
	at := map[Controller]hierarchy{
		CPU: {dir: "/cg/cpu,cpuacct"}, CPUAcct: {dir: "/cg/cpu,cpuacct"}, Memory: {dir: "/cg/mem ory"},
		Freezer: {dir: "/cg/freezer"}, PIDs: {dir: "/cg/pids"},
	}
	v2 := hierarchy{dir: unified, v2: true}
	for name, c := range map[string]struct {
		mounts string
		want   map[Controller]hierarchy
	}{
		"nothing":                     {"23 1 0:1 / / rw - ext4 /dev/vda rw\n", map[Controller]hierarchy{}},
		"v1":                          {v1, at},
		"hybrid":                      {v1 + "41 31 0:38 / " + hybrid + " rw - cgroup2 cgroup2 rw\n", at},
		"hybrid, the other way round": {"41 31 0:38 / " + hybrid + " rw - cgroup2 cgroup2 rw\n" + v1, at},
		"v2": {"29 23 0:26 / " + unified + " rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
			map[Controller]hierarchy{Memory: v2, CPU: v2, PIDs: v2, CPUAcct: v2, Freezer: v2}},
	} {
		s, err := read(strings.NewReader(c.mounts))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, controller := range []Controller{Memory, CPU, CPUAcct, PIDs, Freezer} {
			if s.at[controller] != c.want[controller] {
				t.Errorf("%s: %s is %s, want %+v", name, controller, s.Where(controller), c.want[controller])
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("32 31 0:29 / /cg/cpu rw - cgroup cgroup rw,cpu\n")
	f.Add(" - \n - cgroup\n")
	f.Fuzz(func(t *testing.T, mounts string) {
		s, err := read(strings.NewReader(mounts))
		if err == nil {
			s.hierarchies()
		}
	})
}

func mustWrite(t testing.TB, value string, path ...string) {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(value), 0o644); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t testing.TB, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}
