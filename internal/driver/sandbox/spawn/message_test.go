package spawn

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func FuzzParseReply(f *testing.F) {
	f.Add([]byte{})
	f.Add(Reply{Kind: Ready}.Append(nil))
	f.Add(Reply{Kind: Exited, Seq: 7, Status: 9}.Append(nil))
	f.Add(Reply{Kind: NotForked, Seq: 1 << 40, Text: "no memory"}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseReply(b)
		if err != nil {
			if len(b) >= replySize {
				t.Errorf("%d bytes: %v", len(b), err)
			}
			return
		}
		if again := r.Append(nil); !cmp.Equal(again, b) {
			t.Errorf("%x became %x", b, again)
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte{})
	for _, r := range []Request{{}, {Seq: 1, UID: 1000, Tmp: 1 << 30, Inodes: 1024, Env: []string{"A=b", "C=\n\"é"}}} {
		b, err := r.Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRequest(b)
		if err != nil {
			return
		}
		out, err := r.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseRequest(out)
		if err != nil || len(r.Env) > 0 && !cmp.Equal(again, r) {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
	})
}
