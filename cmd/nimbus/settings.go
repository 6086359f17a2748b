package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"nimbus/client"
)

// settings are the flags that say how a function runs. Only those given are sent.
type settings struct {
	description         string
	runtime             string
	handler             string
	memoryMB            int64
	timeoutSec          int64
	env                 []string
	tags                []string
	maxConcurrency      int
	minInstances        int
	instanceConcurrency int
	idleTimeout         time.Duration
	cpuMilli            int
	tmpMB               int64
	driver              string
	capture             string
	eventFormat         string
	noWait              bool
}

func (s *settings) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.runtime, "runtime", "", "runtime, such as python3, nodejs, go1.26; inferred from the code when not given")
	f.StringVar(&s.handler, "handler", "", "handler, such as handler.handle, or the file that runs; inferred from the code when not given")
	f.Int64Var(&s.memoryMB, "memory-mb", 0, "memory of an instance in MB")
	f.Int64Var(&s.timeoutSec, "timeout-sec", 0, "seconds one call may take")
	f.StringArrayVar(&s.env, "env", nil, "environment variable KEY=VALUE, repeatable; replaces all; \"\" for none")
	f.StringArrayVar(&s.tags, "tag", nil, "tag, repeatable; replaces all; \"\" for none")
	f.StringVar(&s.description, "description", "", "what the function is for")
	f.IntVar(&s.maxConcurrency, "max-concurrency", 0, "calls at once; 0 = unbounded")
	f.IntVar(&s.minInstances, "min-instances", 0, "instances kept ready")
	f.IntVar(&s.instanceConcurrency, "instance-concurrency", 1, "calls one instance takes at once; above 1 of nodejs only")
	f.DurationVar(&s.idleTimeout, "idle-timeout", 0, "how long an idle instance is kept, such as 90s")
	f.IntVar(&s.cpuMilli, "cpu-milli", 0, "thousandths of a core; 0 = no limit, an equal share")
	f.Int64Var(&s.tmpMB, "tmp-mb", 0, "size of /tmp in MB")
	f.StringVar(&s.driver, "driver", "", "what isolates the instances, such as sandbox")
	f.StringVar(&s.capture, "capture", "", "which inputs and outputs records keep: none, errors, sampled or all")
	f.StringVar(&s.eventFormat, "event-format", "", "what a function URL hands over: v2 or raw")
	f.BoolVar(&s.noWait, "no-wait", false, "don't wait for code that has to be compiled")
	for name, values := range map[string][]string{
		"capture":      {"none", "errors", "sampled", "all"},
		"event-format": {"v2", "raw"},
		"driver":       {"sandbox"},
	} {
		// Only a name that is registered twice fails.
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// input is what the flags given on the command line ask for.
func (s *settings) input(flags *pflag.FlagSet) (client.FunctionInput, error) {
	env, err := parseEnv(s.env)
	if err != nil {
		return client.FunctionInput{}, err
	}
	idle := s.idleTimeout.String()
	tags := dropEmpty(s.tags)
	return client.FunctionInput{
		Description:         given(flags, "description", &s.description),
		Runtime:             given(flags, "runtime", &s.runtime),
		Handler:             given(flags, "handler", &s.handler),
		MemoryMB:            given(flags, "memory-mb", &s.memoryMB),
		TimeoutSec:          given(flags, "timeout-sec", &s.timeoutSec),
		EnvVars:             given(flags, "env", &env),
		Tags:                given(flags, "tag", &tags),
		MaxConcurrency:      given(flags, "max-concurrency", &s.maxConcurrency),
		MinInstances:        given(flags, "min-instances", &s.minInstances),
		InstanceConcurrency: given(flags, "instance-concurrency", &s.instanceConcurrency),
		IdleTimeout:         given(flags, "idle-timeout", &idle),
		CPUMilli:            given(flags, "cpu-milli", &s.cpuMilli),
		TmpMB:               given(flags, "tmp-mb", &s.tmpMB),
		Driver:              given(flags, "driver", &s.driver),
		Capture:             given(flags, "capture", &s.capture),
		EventFormat:         given(flags, "event-format", &s.eventFormat),
		Async:               s.noWait,
	}, nil
}

// given is the value, or nil when its flag is not on the command line.
func given[T any](flags *pflag.FlagSet, name string, value *T) *T {
	if !flags.Changed(name) {
		return nil
	}
	return value
}

func parseEnv(pairs []string) (map[string]string, error) {
	env := map[string]string{}
	for _, pair := range dropEmpty(pairs) {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			// The text may be a value that was meant to stay secret, so it is not repeated.
			return nil, usagef("--env must be KEY=VALUE")
		}
		env[key] = value
	}
	return env, nil
}

// dropEmpty leaves out "", which on the command line stands for "none at all".
func dropEmpty(values []string) []string {
	kept := []string{}
	for _, v := range values {
		if v != "" {
			kept = append(kept, v)
		}
	}
	return kept
}
