//go:build linux && (amd64 || arm64)

package spawn

import (
	"encoding/hex"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMerge(t *testing.T) {
	t.Parallel()
	env := []string{"PATH=/bin", "LANG=C", "LANGUAGE=en"}
	got := merge(env, []string{"LANG=de=x", "NODE_OPTIONS="})
	if want := []string{"PATH=/bin", "LANGUAGE=en", "LANG=de=x", "NODE_OPTIONS="}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if want := []string{"PATH=/bin", "LANG=C", "LANGUAGE=en"}; !slices.Equal(env, want) {
		t.Errorf("the runtime's own became %q", env)
	}
}

func TestMasksAreWhatOthersMayUse(t *testing.T) {
	t.Parallel()
	got := masks([]string{"cmdline", "no-such-file", "kmsg", "self", "version"})
	if want := []string{"cmdline", "version"}; !slices.Equal(got, want) { // kmsg is for its owner, self a link
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAnOrderIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	o := order{Argv: []string{"/bin/x", "é"}, Env: []string{"A=" + string(make([]byte, 100_000))}, UID: 1000, Groups: 3}
	fd, err := o.file()
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "order")
	defer f.Close()
	got, err := readOrder(fd)
	if err != nil || !slices.Equal(got.Argv, o.Argv) || !slices.Equal(got.Env, o.Env) || got.UID != o.UID || got.Groups != o.Groups {
		t.Errorf("read %d arguments, %d of environment, uid %d, %v", len(got.Argv), len(got.Env), got.UID, err)
	}
}

func TestFilterIsDecodedWhole(t *testing.T) {
	t.Parallel()
	allow := []byte{unix.BPF_RET | unix.BPF_K, 0, 0, 0, 0, 0, 0xff, 0x7f} // little-endian, as both architectures are
	p := Policy{Filter: hex.EncodeToString(slices.Concat(allow, allow))}
	program, err := p.filter()
	if err != nil || len(program) != 2 || program[1] != (unix.SockFilter{Code: unix.BPF_RET, K: 0x7fff0000}) {
		t.Errorf("%+v, %v", program, err)
	}
	for _, bad := range []string{"", "06", "zz", p.Filter[2:]} {
		if _, err := (&Policy{Filter: bad}).filter(); err == nil {
			t.Errorf("%q is taken for a program", bad)
		}
	}
}
