package runtime

import (
	"errors"
	"fmt"
	"io"
	"os"
)

const elfMagic = "\x7fELF"

// checkProgram refuses what no instance can execute: a shim is a script that starts another interpreter, which the
// root of an instance does not hold, and it costs a hundred milliseconds; and an instance has a user of its own.
func checkProgram(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	magic := make([]byte, len(elfMagic))
	if _, err := io.ReadFull(f, magic); err != nil || string(magic) != elfMagic {
		return errors.New("not a program but a script, such as a version manager's shim")
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	const forOthers = 0o005
	if mode := info.Mode().Perm(); mode&forOthers != forOthers {
		return fmt.Errorf("instances run as other users, and its mode %v does not let them", mode)
	}
	return nil
}
