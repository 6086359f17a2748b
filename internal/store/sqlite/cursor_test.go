package sqlite

import (
	"testing"

	"nimbus"
)

func FuzzCursor(f *testing.F) {
	f.Add(nameKey{folded: "hello", namespace: "default"}.cursor())
	f.Add(timeKey{us: -1, id: nimbus.ID{1, 2}}.cursor())
	f.Add("")
	f.Add("bg")
	f.Add("dAAA")
	f.Add("?\x00\xff")
	f.Fuzz(func(t *testing.T, cursor string) {
		if k, err := parseNameKey(cursor); err != nil {
			wantCode(t, err, nimbus.CodeInvalid)
		} else if again, err := parseNameKey(k.cursor()); err != nil || again != k {
			t.Errorf("%+v came back as %+v, %v", k, again, err)
		}
		if k, err := parseTimeKey(cursor); err != nil {
			wantCode(t, err, nimbus.CodeInvalid)
		} else if again, err := parseTimeKey(k.cursor()); err != nil || again != k {
			t.Errorf("%+v came back as %+v, %v", k, again, err)
		}
	})
}

// TestCursorsDiffer: the cursor of one list is not taken for that of another.
func TestCursorsDiffer(t *testing.T) {
	t.Parallel()
	_, err := parseTimeKey(nameKey{folded: "aaaaaaaaaaaa", namespace: "aaaaaaaaaaa"}.cursor())
	wantCode(t, err, nimbus.CodeInvalid)
	_, err = parseNameKey(timeKey{us: 1, id: nimbus.NewID()}.cursor())
	wantCode(t, err, nimbus.CodeInvalid)
	for _, prefix := range []string{"a", "a\xff", "az"} {
		if end := prefixEnd(prefix); end <= prefix+"\xff\xff" {
			t.Errorf("%q ends at %q", prefix, end)
		}
	}
}
