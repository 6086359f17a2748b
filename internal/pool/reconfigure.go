package pool

import (
	"errors"
	"fmt"
	"slices"
)

// Reconfigure goes on with another configuration, of the same runtimes, or reports every reason not to and
// goes on as before. No call notices: instances there are too many of go once they are idle, those that are
// missing are started. Sizes of blanks and limits hold for instances that are started from now on.
func (p *Pool) Reconfigure(config Config) error {
	config = config.WithDefaults()
	if err := errors.Join(config.validate(), p.checkDrivers(config), p.checkRuntimes(config)); err != nil {
		return err
	}
	p.configure(config)
	p.wake()
	return nil
}

// configure makes a configuration that was checked the current one.
func (p *Pool) configure(config Config) {
	for key, s := range p.stocks {
		i := slices.IndexFunc(config.Runtimes, func(r RuntimeConfig) bool { return r.Runtime.Name == key.runtime })
		c := config.Runtimes[i]
		if home := c.Driver == key.driver || c.Driver == "" && p.drivers[0] == key.driver; !home {
			c.MinWarm, c.TargetWarm = 0, 0
		}
		s.current.Store(&c)
	}
	p.current.Store(&config)
}

func (p *Pool) checkDrivers(config Config) error {
	var errs []error
	for _, r := range config.Runtimes {
		if r.Driver != "" && !slices.Contains(p.drivers, r.Driver) {
			errs = append(errs, fmt.Errorf("pool: runtime %s: there is no driver %q", r.Runtime.Name, r.Driver))
		}
	}
	return errors.Join(errs...)
}

// checkRuntimes wants the runtimes that the pool was made for, each once.
func (p *Pool) checkRuntimes(config Config) error {
	var errs []error
	named := make(map[string]bool)
	for _, r := range config.Runtimes {
		name := r.Runtime.Name
		if named[name] {
			errs = append(errs, fmt.Errorf("pool: runtime %s is configured twice", name))
		}
		named[name] = true
	}
	known := make(map[string]bool)
	for key := range p.stocks {
		known[key.runtime] = true
	}
	for name := range named {
		if !known[name] {
			errs = append(errs, fmt.Errorf("pool: runtime %s was not there at the start", name))
		}
	}
	for name := range known {
		if !named[name] {
			errs = append(errs, fmt.Errorf("pool: runtime %s is missing", name))
		}
	}
	return errors.Join(errs...)
}
