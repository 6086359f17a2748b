package parts_test

import (
	"testing"
	"testing/fstest"

	"nimbus/internal/runtime/parts"
)

func TestJoin(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"a": {Data: []byte("1\n")}, "b": {Data: []byte("2\n")}}
	if got := string(parts.Join(files, "b", "a")); got != "2\n\n1\n" {
		t.Errorf("got %q", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("a part that is missing goes unnoticed")
		}
	}()
	parts.Join(files, "c")
}
