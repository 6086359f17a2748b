//go:build linux && (amd64 || arm64)

package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nimbus/internal/driver"
	"nimbus/internal/driver/sandbox/cgroup"
	"nimbus/internal/driver/sandbox/spawn"
	"nimbus/internal/runtime"
)

// probeTimeout bounds the trial of namespaces.
const probeTimeout = 10 * time.Second

// finding is a feature, and whether instances can't be had without it.
type finding struct {
	driver.Feature
	essential bool
}

// Probe tries each protection and limit on its own.
func (d *Driver) Probe(ctx context.Context) driver.Report {
	findings := []finding{
		d.probeRoot(),
		probeKernel(),
		d.probeNamespaces(ctx),
		probeSeccomp(),
		probeLandlock(),
	}
	for _, c := range []struct {
		name       string
		controller cgroup.Controller
	}{{"memory limit", cgroup.Memory}, {"cpu limit", cgroup.CPU}, {"process limit", cgroup.PIDs}} {
		findings = append(findings, d.probeLimit(c.name, c.controller))
	}
	findings = append(findings, d.probeFreezer(), probeSnapshots())

	report := driver.Report{Healthy: true}
	var reasons []string
	for _, f := range findings {
		report.Features = append(report.Features, f.Feature)
		if f.essential && !f.OK {
			report.Healthy = false
			reasons = append(reasons, f.Name+": "+f.Detail)
		}
	}
	report.Reason = strings.Join(reasons, "; ")
	return report
}

func (d *Driver) probeRoot() finding {
	f := finding{Feature: driver.Feature{Name: "root", OK: true, Detail: "running as root"}, essential: true}
	if os.Geteuid() != 0 {
		f.OK, f.Detail = false, "the sandbox driver needs root to make user namespaces and cgroups; start nimbus with sudo"
	}
	return f
}

// probeSnapshots says why there are none.
func probeSnapshots() finding {
	return finding{Feature: driver.Feature{Name: driver.FeatureSnapshots, Luxury: true,
		Detail: "not needed: a process that was forked or started ahead is there sooner; pool.use_snapshots changes nothing here"}}
}

// probeKernel asks for the newest call that can't be done without: mount_setattr came with Linux 5.12.
func probeKernel() finding {
	var uts unix.Utsname
	_ = unix.Uname(&uts) // fails for a bad address only
	release := unix.ByteSliceToString(uts.Release[:])
	f := finding{Feature: driver.Feature{Name: "kernel", OK: true, Detail: "Linux " + release}, essential: true}
	if err := unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{}); err == unix.ENOSYS {
		f.OK, f.Detail = false, "Linux "+release+" has no mount_setattr; 5.12 or newer is needed"
	}
	return f
}

// probeNamespaces has an init build the root file system in namespaces of its own.
func (d *Driver) probeNamespaces(ctx context.Context) finding {
	f := finding{Feature: driver.Feature{Name: "namespaces", OK: true,
		Detail: "user, mount, pid, net, ipc, uts, with a read-only root and a /proc of their own"}, essential: true}
	if os.Geteuid() != 0 {
		f.OK, f.essential, f.Detail = false, false, "not tried: it takes root" // which the line before demands
	} else if err := d.tryInit(ctx); err != nil {
		f.OK, f.Detail = false, err.Error()
		if limit, readErr := os.ReadFile("/proc/sys/user/max_user_namespaces"); readErr == nil && strings.TrimSpace(string(limit)) == "0" {
			f.Detail += "; user namespaces are off: sysctl user.max_user_namespaces=10000"
		}
	}
	return f
}

func (d *Driver) tryInit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	base, err := d.slots.take()
	if err != nil {
		return err
	}
	defer d.slots.give(base)
	p, err := newPlan(runtime.Runtime{Language: runtime.Python, Path: "/usr/bin/python3"}, "")
	if err != nil {
		return err
	}
	defer p.close()
	c, theirs, err := newControl()
	if err != nil {
		return err
	}
	defer c.close()
	defer theirs.Close()
	s := newSpawner()
	defer s.stop()
	cmd, err := s.start(modeProbe, base, nil, append([]*os.File{theirs}, p.fds...))
	if err != nil {
		return fmt.Errorf("start a process in namespaces of its own: %w", err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // its message has told how it went
	}()
	theirs.Close()
	return c.tryPlan(ctx, p.plan)
}

// tryPlan sends the plan and waits for the word that it was carried out.
func (c *control) tryPlan(ctx context.Context, p plan) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := c.grow(controlBuffer); err != nil {
		return err
	}
	if err := c.send(b); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { c.setDeadline(time.Unix(1, 0)) })()
	r, err := c.receive()
	if err != nil {
		return fmt.Errorf("wait for a process in namespaces of its own: %w", err)
	}
	if r.Kind != spawn.Ready {
		return fmt.Errorf("%s", r.Text)
	}
	return nil
}

func probeSeccomp() finding {
	f := finding{Feature: driver.Feature{Name: "seccomp", OK: true, Detail: "allow-list of system calls"}, essential: true}
	b, err := os.ReadFile("/proc/sys/kernel/seccomp/actions_avail")
	if err != nil || !strings.Contains(string(b), "errno") {
		f.OK, f.Detail = false, "the kernel was built without seccomp filters (CONFIG_SECCOMP_FILTER)"
	}
	return f
}

// probeLandlock asks for the ABI. Without it the other layers still hold.
func probeLandlock() finding {
	abi := landlockABI()
	if abi == 0 {
		return finding{Feature: driver.Feature{Name: "landlock",
			Detail: "not in this kernel, or not among its security modules (lsm= on its command line)"}}
	}
	return finding{Feature: driver.Feature{Name: "landlock", OK: true, Detail: fmt.Sprintf("ABI %d", abi)}}
}

func (d *Driver) probeLimit(name string, c cgroup.Controller) finding {
	return finding{
		Feature:   driver.Feature{Name: name, OK: d.system.Has(c), Detail: "cgroup controller " + string(c) + ": " + d.system.Where(c)},
		essential: !d.config.AllowMissingLimits,
	}
}

func (d *Driver) probeFreezer() finding {
	return finding{Feature: driver.Feature{Name: "freezer", OK: d.system.Has(cgroup.Freezer),
		Detail: "idle instances are frozen by cgroup " + d.system.Where(cgroup.Freezer)}}
}
