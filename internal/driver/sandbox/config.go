package sandbox

import (
	"errors"
	"log/slog"
	"time"
)

// Config sets up a Driver.
type Config struct {
	// Dir is where the installation keeps its data. The driver writes nothing there: it refuses to run where
	// instances would see it, such as below /usr.
	Dir string
	// Owner labels what belongs to this installation: a short word, such as a hash of the data directory.
	Owner string
	// AllowMissingLimits starts instances although a limit can't be held on this machine.
	AllowMissingLimits bool
	// UIDBase is the first of the host user ids that zygotes may take, in ranges of 65536. 0 = derived from
	// Owner, between 0x70000000 and 0x7ff00000, where distributions allocate nothing.
	UIDBase uint32
	// ZygoteAge and ZygoteForks recycle a zygote that forks: Python's hash secret can't be reseeded. 0 = an hour,
	// 10,000.
	ZygoteAge   time.Duration
	ZygoteForks int
	// Agent is the path of nimbus-agent, which starts what no interpreter forks: every runtime but Python needs
	// it.
	Agent string
	// Log is required.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.ZygoteAge == 0 {
		c.ZygoteAge = time.Hour
	}
	if c.ZygoteForks == 0 {
		c.ZygoteForks = 10_000
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("sandbox: Dir is empty"))
	}
	if c.Owner == "" || !isWord(c.Owner) {
		errs = append(errs, errors.New("sandbox: Owner must be of letters, digits, - and _"))
	}
	if c.Log == nil {
		errs = append(errs, errors.New("sandbox: Log is nil"))
	}
	return errors.Join(errs...)
}

func isWord(s string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
			return false
		}
	}
	return true
}
