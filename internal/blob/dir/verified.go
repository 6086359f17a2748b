package dir

import (
	"encoding/hex"
	"hash"
	"io"
	"os"

	"nimbus"
)

// verified reads a blob and compares its hash where the content ends.
type verified struct {
	file   *os.File
	digest hash.Hash
	hash   string
	err    error // sticky, once the end was reached
}

func (v *verified) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.file.Read(p)
	v.digest.Write(p[:n])
	if err == io.EOF && hex.EncodeToString(v.digest.Sum(nil)) != v.hash {
		err = nimbus.Errorf(nimbus.CodeInternal, "blob %s is corrupt: its content does not match its hash", v.hash)
	}
	v.err = err
	return n, err
}

func (v *verified) Close() error { return v.file.Close() }
