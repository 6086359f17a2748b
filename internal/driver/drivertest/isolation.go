package drivertest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// facts is what suite.facts tells.
type facts struct {
	PID         int               `json:"pid"`
	UID         int               `json:"uid"`
	GID         int               `json:"gid"`
	Groups      []int             `json:"groups"`
	Status      map[string]string `json:"status"` // of /proc/self/status
	Environment map[string]string `json:"environment"`
	Processes   []int             `json:"processes"`
	Directory   string            `json:"directory"`
	Files       map[string]string `json:"files"`   // what each descriptor is
	Started     map[string]string `json:"started"` // the environment its process was started with
}

// attempt is what came of something tried.
type attempt struct {
	Value any    `json:"value"`
	Error string `json:"error"`
	Text  string `json:"text"`
}

// isolationCases are about what an instance must not reach.
func isolationCases() []testCase {
	return []testCase{
		{"an instance is nobody", "facts", func(t *testing.T, s *suite) {
			f := call[facts](t, s.claim(t, "facts"), nil)
			if f.UID == 0 || f.GID == 0 || len(f.Groups) > 0 {
				t.Errorf("uid %d, gid %d, groups %v", f.UID, f.GID, f.Groups)
			}
			for key, want := range map[string]string{
				"CapEff": "0000000000000000", "CapPrm": "0000000000000000", "CapInh": "0000000000000000",
				"CapBnd": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2",
			} {
				if got := f.Status[key]; got != want {
					t.Errorf("%s is %s, want %s", key, got, want)
				}
			}
			if f.Directory != "/var/function" {
				t.Errorf("working directory %s", f.Directory)
			}
		}},
		{"the server's environment stays outside", "facts read", func(t *testing.T, s *suite) {
			env := call[facts](t, s.claim(t, "facts"), nil).Environment
			for _, name := range []string{"PWD", "USER", "GOCACHE", "GOPATH", "SHLVL", "NIMBUS_TEST_REQUIRE"} {
				if value, ok := env[name]; ok {
					t.Errorf("%s=%s", name, value)
				}
			}
			i := s.claim(t, "read")
			for _, path := range []string{"/proc/1/environ", "/proc/self/environ"} {
				if a := call[attempt](t, i, path); a.Error == "" && containsAny(a.Value, "GOCACHE", "SHLVL") {
					t.Errorf("%s shows %v", path, a.Value)
				}
			}
		}},
		{"the host's files stay outside", "read listdir", func(t *testing.T, s *suite) {
			if _, err := os.ReadFile(s.harness.Secret); err != nil {
				t.Fatalf("the secret can't even be read outside: %v", err)
			}
			i := s.claim(t, "read")
			for _, path := range []string{s.harness.Secret, "/etc/shadow", "/proc/1/root" + s.harness.Secret, "/var/function/../../.." + s.harness.Secret,
				"/proc/kcore", "/proc/self/cwd/../../../../.." + s.harness.Secret} {
				if a := call[attempt](t, i, path); a.Error == "" && a.Value != "" {
					t.Errorf("%s can be read", path)
				}
			}
			ls := s.claim(t, "listdir")
			for _, path := range []string{filepath.Dir(s.harness.Secret), "/sys", "/dev/pts", "/root", "/home", "/boot"} {
				if a := call[attempt](t, ls, path); a.Error == "" && fmt.Sprint(a.Value) != "[]" {
					t.Errorf("%s holds %v", path, a.Value)
				}
			}
		}},
		{"code and system are read-only", "write", func(t *testing.T, s *suite) {
			i := s.claim(t, "write")
			for _, path := range []string{"/var/function/new", "/new", "/usr/new", "/etc/passwd",
				"/run/nimbus/new", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/dev/new"} {
				if a := call[attempt](t, i, map[string]any{"path": path}); a.Error == "" {
					t.Errorf("%s can be written", path)
				}
			}
			for _, path := range []string{"/tmp/new", "/dev/shm/new", "/dev/null"} {
				if a := call[attempt](t, i, map[string]any{"path": path}); a.Error != "" {
					t.Errorf("%s can't be written: %s", path, a.Text)
				}
			}
			if _, err := os.Stat(filepath.Join(s.code, "new")); err == nil {
				t.Error("the package on the host was written to")
			}
		}},
		{"siblings are strangers", "facts write listdir", func(t *testing.T, s *suite) {
			a, b := s.claim(t, "facts"), s.claim(t, "facts")
			x, y := call[facts](t, a, nil), call[facts](t, b, nil)
			if x.UID == y.UID {
				t.Errorf("both have uid %d", x.UID)
			}
			if !slices.Contains(x.Processes, x.PID) || len(x.Processes) > s.Processes {
				t.Errorf("process %d sees %v", x.PID, x.Processes)
			}

			writer, reader := s.claim(t, "write"), s.claim(t, "listdir")
			for _, dir := range []string{"/tmp", "/dev/shm"} {
				if w := call[attempt](t, writer, map[string]any{"path": dir + "/mine"}); w.Error != "" {
					t.Fatal(w.Text)
				}
				if r := call[attempt](t, reader, dir); fmt.Sprint(r.Value) != "[]" {
					t.Errorf("%s of a sibling shows: %v", dir, r.Value)
				}
			}
		}},
		{"siblings meet on no socket", "serve connect", func(t *testing.T, s *suite) {
			server, client := s.claim(t, "serve"), s.claim(t, "connect")
			call[string](t, server, 4711)
			tried := call[map[string]attempt](t, client, 4711)
			for how, a := range tried {
				if a.Error == "" {
					t.Errorf("a sibling can be reached by %s", how)
				}
			}
		}},
		{"siblings take no signal", "kill facts", func(t *testing.T, s *suite) {
			bystander, killer := s.claim(t, "facts"), s.claim(t, "kill")
			for _, pid := range []int{-1, 1, 2, 3, 4, 5, call[facts](t, bystander, nil).PID, os.Getpid(), os.Getppid()} {
				if _, err := invoke(t, killer, pid); err != nil {
					exitOf(t, err) // it has ended itself
					killer = s.claim(t, "kill")
				}
			}
			call[facts](t, bystander, nil)
		}},
		{"sockets lead nowhere else", "sockets", func(t *testing.T, s *suite) {
			got := call[[]string](t, s.claim(t, "sockets"), nil)
			want := []string{"pair of family 1", "socket of family 1", "socket of family 10", "socket of family 2"}
			if !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		}},
		{"no dumps and no priority", "read lower_cores", func(t *testing.T, s *suite) {
			limits := call[attempt](t, s.claim(t, "read"), "/proc/self/limits")
			lines := make(map[string]string)
			for line := range strings.Lines(fmt.Sprint(limits.Value)) {
				if len(line) > 26 {
					lines[strings.TrimSpace(line[:26])] = strings.Join(strings.Fields(line[26:]), " ")
				}
			}
			for name, want := range map[string]string{
				"Max core file size": "1 1 bytes", "Max nice priority": "0 0", "Max realtime priority": "0 0",
			} {
				if lines[name] != want {
					t.Errorf("%s is %q, want %q", name, lines[name], want)
				}
			}
			// 0 would start the program that the host pipes dumps to.
			if got := call[[]int](t, s.claim(t, "lower_cores"), nil); !slices.Equal(got, []int{1, 1}) {
				t.Errorf("lowered, the limit of cores is %v", got)
			}
		}},
		{"an instance inherits no descriptors", "facts", func(t *testing.T, s *suite) {
			sockets := 0
			for fd, target := range call[facts](t, s.claim(t, "facts"), nil).Files {
				switch {
				case strings.HasPrefix(target, "socket:"): // the protocol's
					sockets++
				case strings.HasPrefix(target, "pipe:"), strings.HasPrefix(target, "anon_inode:"), strings.HasPrefix(target, "/proc/"),
					strings.HasPrefix(target, "/memfd:"), target == "/dev/null", target == "": // streams, the runtime's own, what lists them
				default:
					t.Errorf("descriptor %s is %s", fd, target)
				}
			}
			if sockets > 1 {
				t.Errorf("%d sockets", sockets)
			}
		}},
		{"proc tells nothing of the host", "read", func(t *testing.T, s *suite) {
			i := s.claim(t, "read")
			for _, name := range []string{"cmdline", "config.gz", "interrupts", "kallsyms", "kcore", "key-users", "keys", "kmsg",
				"latency_stats", "sched_debug", "slabinfo", "timer_list", "vmallocinfo", "1/mem", "sysrq-trigger"} {
				if a := call[attempt](t, i, "/proc/"+name); a.Error == "" && a.Value != "" {
					t.Errorf("/proc/%s can be read", name)
				}
			}
			if !s.has("facts") {
				return // there is no /proc at all
			}
			if a := call[attempt](t, i, "/proc/self/oom_score_adj"); strings.TrimSpace(fmt.Sprint(a.Value)) != "500" {
				t.Errorf("the kernel's choice when memory is short: %+v", a)
			}
			if a := call[attempt](t, i, "/proc/self/cgroup"); strings.Contains(fmt.Sprint(a.Value), "nimbus") {
				t.Errorf("the cgroup's place on the host is shown: %v", a.Value)
			}
		}},
		{"a function makes no devices and no namespaces", "forbidden", func(t *testing.T, s *suite) {
			for what, a := range call[map[string]attempt](t, s.claim(t, "forbidden"), nil) {
				if a.Error == "" {
					t.Errorf("%s: allowed", what)
				}
			}
		}},
	}
}

func containsAny(value any, words ...string) bool {
	text := fmt.Sprint(value)
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w+"=") })
}
