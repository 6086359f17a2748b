package function

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"nimbus"
	"nimbus/internal/build"
	"nimbus/internal/obs"
)

const (
	// buildAttempts is how often a build is tried that the platform, not the source, has failed.
	buildAttempts = 3
	// maxMessage bounds the bytes of a compiler's message in a function's status; the log has all of it.
	maxMessage = 8 << 10
)

// pause is how long to wait after so many attempts.
func (s *Service) pause(attempts int) time.Duration {
	return s.cfg.RetryAfter << (2 * (min(attempts, buildAttempts) - 1))
}

// runBuilds works off builds until ctx ends: first those that an earlier process has left.
func (s *Service) runBuilds(ctx context.Context) error {
	defer s.queue.stop(stopping())
	var workers errgroup.Group
	workers.Go(func() error { return s.worker(ctx, shortLane) })
	for range s.cfg.Builds {
		workers.Go(func() error { return s.worker(ctx, longLane) })
	}
	s.resumeBuilds(ctx)
	return workers.Wait()
}

// worker works off the builds of a lane, one at a time, until ctx ends.
func (s *Service) worker(ctx context.Context, l lane) error {
	for {
		run, j := s.queue.next(ctx, l)
		if j == nil {
			return nil
		}
		s.work(run, j)
	}
}

// laneOf is the lane of what is to be built. What can't be looked at is long: the worker finds out why.
func (s *Service) laneOf(ctx context.Context, v *nimbus.Version) lane {
	r, err := s.runtimes.Resolve(v.Settings.Runtime)
	if err != nil {
		return longLane
	}
	tree, err := s.packages.Tree(ctx, v.Code())
	if err != nil || s.compiler.Effort(tree, r, v.Settings.Handler) == build.Long {
		return longLane
	}
	return shortLane
}

// resumeBuilds asks again for what was asked of an earlier process.
func (s *Service) resumeBuilds(ctx context.Context) {
	for {
		left, err := s.functions.Builds(ctx)
		if err == nil {
			err = s.resume(ctx, left)
		}
		if err == nil {
			return
		}
		s.cfg.Log.WarnContext(ctx, "pending builds could not be read", "error", err)
		timer := time.NewTimer(s.pause(1))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// resume asks for builds. Those that are in the queue already stay as they are.
func (s *Service) resume(ctx context.Context, left []nimbus.Build) error {
	for _, b := range left {
		f, err := s.functions.Function(ctx, b.Version.FunctionID)
		if nimbus.CodeOf(err) == nimbus.CodeNotFound {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		s.queue.add(newJob(f.Namespace, f.ID, b.ID, s.laneOf(ctx, &b.Version)))
	}
	return nil
}

// errGone says that a build is no longer wanted: another took its place, or its function was deleted.
var errGone = errors.New("the build is no longer pending")

// work does one attempt of a job, and ends the job or has it tried again.
func (s *Service) work(ctx context.Context, j *job) {
	j.attempts++
	err := s.attempt(ctx, j)
	switch {
	case err == nil:
		s.queue.end(j, nil)
	case errors.Is(err, errGone):
		s.queue.end(j, superseded())
	case ctx.Err() != nil:
		// Cancelled, then the job has ended already; or the server stops, and the next one resumes it.
	default:
		s.cfg.Log.ErrorContext(ctx, "a build could not be worked off", "function", j.function.String(),
			"attempt", j.attempts, "error", err)
		s.queue.again(j, time.Now().Add(s.pause(j.attempts)))
	}
}

// attempt brings a build to its end in the store. An error other than errGone means that it is to be tried again.
func (s *Service) attempt(ctx context.Context, j *job) error {
	b, err := s.functions.Build(ctx, j.function)
	switch {
	case nimbus.CodeOf(err) == nimbus.CodeNotFound: // it has ended, before somebody came to wait for it
		return nil
	case err == nil && b.ID != j.id:
		return errGone
	case err != nil:
		return err
	}
	if j.failure != nil { // the store did not take it the last time
		return s.failBuild(ctx, b, *j.failure)
	}
	begun := time.Now()
	made, err := s.compile(ctx, b)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	took := time.Since(begun).Round(time.Millisecond)
	if err == nil {
		return s.finishBuild(ctx, b, made, took)
	}
	message, final := blame(err)
	if !final && j.attempts < buildAttempts {
		return err
	}
	if !final || nimbus.CodeOf(err) == nimbus.CodeInsufficientStorage {
		s.cfg.Log.ErrorContext(ctx, "a build failed for good", "function", j.function.String(),
			"attempts", j.attempts, "error", err)
	}
	j.failure = &failure{message: message, took: took}
	return s.failBuild(ctx, b, *j.failure)
}

// compile makes what runs of a build's source. A panic is an error of the platform's.
func (s *Service) compile(ctx context.Context, b *nimbus.Build) (v nimbus.Version, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("compile: panic: %v\n%s", p, debug.Stack())
		}
	}()
	v = b.Version
	r, err := s.runtimes.Resolve(v.Settings.Runtime)
	if err != nil {
		return v, err
	}
	tree, err := s.packages.Tree(ctx, v.Source)
	if err != nil {
		return v, err
	}
	if s.compiler.Effort(tree, r, v.Settings.Handler) == build.None {
		v.Package, v.Source = v.Source, nimbus.Package{}
		return v, nil
	}
	made, err := s.compiler.Compile(ctx, build.Request{Source: v.Source, Runtime: r, Handler: v.Settings.Handler},
		func(line string) {
			if ctx.Err() == nil { // the log may go with its function
				s.print(b, line)
			}
		})
	if err != nil {
		return v, err
	}
	v.Package, v.Toolchain = made.Package, made.Toolchain
	if made.Handler != "" {
		v.Settings.Handler = made.Handler
	}
	return v, nil
}

// blame returns what the user is told of a build that failed, and whether trying again would change nothing: the
// source is at fault, or the disk is full, and every try would burn minutes to find it so.
func blame(err error) (message string, final bool) {
	var wrong *build.CompileError
	if errors.As(err, &wrong) {
		return bounded(wrong.Message), true
	}
	var e *nimbus.Error
	if !errors.As(err, &e) {
		return fmt.Sprintf("the platform failed %d times to compile it; the server's log says why", buildAttempts), false
	}
	message = e.Detail
	for _, f := range e.Fields {
		message += "; " + f.Field + ": " + f.Detail
	}
	switch e.Code {
	case nimbus.CodeInvalid, nimbus.CodeTooLarge:
		return bounded(message), true
	case nimbus.CodeInsufficientStorage:
		return bounded(message + "; deploy again then"), true
	}
	return bounded(message), false
}

// bounded cuts a long message after a whole line.
func bounded(message string) string {
	message = strings.TrimRight(strings.ToValidUTF8(message, "\uFFFD"), "\n")
	if len(message) <= maxMessage {
		return message
	}
	cut := message[:maxMessage]
	if end := strings.LastIndexByte(cut, '\n'); end > 0 {
		cut = cut[:end]
	}
	return strings.ToValidUTF8(cut, "") + "\n… (the function's log has all of it)"
}

func (s *Service) finishBuild(ctx context.Context, b *nimbus.Build, made nimbus.Version, took time.Duration) error {
	made.CreatedAt = moment()
	err := s.functions.FinishBuild(ctx, &nimbus.Build{ID: b.ID, Version: made})
	if nimbus.CodeOf(err) == nimbus.CodeConflict {
		return errGone
	}
	if err != nil {
		return err
	}
	s.print(b, fmt.Sprintf("version %d was built in %s", made.Number, took))
	s.switched(ctx, made.FunctionID)
	return nil
}

func (s *Service) failBuild(ctx context.Context, b *nimbus.Build, why failure) error {
	f, err := s.functions.Function(ctx, b.Version.FunctionID)
	if nimbus.CodeOf(err) == nimbus.CodeNotFound {
		return errGone
	}
	if err != nil {
		return err
	}
	message := why.message
	if f.Status != nimbus.StatusBuilding {
		message = notBuilt(b.Version.Number) + message
	}
	err = s.functions.FailBuild(ctx, b, message, moment())
	if nimbus.CodeOf(err) == nimbus.CodeConflict {
		return errGone
	}
	if err != nil {
		return err
	}
	s.print(b, fmt.Sprintf("version %d could not be built, after %s", b.Version.Number, why.took))
	s.routes.Changed(b.Version.FunctionID)
	return nil
}

// print adds a line to the log of the function that a build is of.
func (s *Service) print(b *nimbus.Build, line string) {
	s.logs.Append(obs.LogLine{Time: time.Now(), Function: b.Version.FunctionID, Version: b.Version.Number,
		Stream: obs.StreamPlatform, Text: line})
}

func beingBuilt(number int64) string { return fmt.Sprintf("version %d is being built", number) }

func notBuilt(number int64) string { return fmt.Sprintf("version %d could not be built: ", number) }

func stopping() error {
	return &nimbus.Error{Code: nimbus.CodeUnavailable, RetryAfter: time.Second,
		Detail: "the server is stopping; the build goes on when it is up again"}
}

func superseded() error {
	return nimbus.Errorf(nimbus.CodeConflict, "a newer update took the place of this one before it was built")
}
