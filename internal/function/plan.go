package function

import (
	"context"
	"io/fs"

	"nimbus"
	"nimbus/internal/build"
	"nimbus/internal/runtime"
)

// Compiler makes what runs of source that can't run as it is.
type Compiler interface {
	// Effort says what compiling takes before a tree that has the handler can run.
	Effort(tree fs.FS, rt runtime.Runtime, handler string) build.Effort
	// Toolchain is what Compile would compile such a tree with now, as it is recorded; "" = nothing on this machine.
	Toolchain(tree fs.FS, rt runtime.Runtime, handler string) string
	// Compile hands lines that tell how it goes to progress. A *build.CompileError is the source's fault.
	Compile(ctx context.Context, r build.Request, progress func(line string)) (build.Compiled, error)
	// Collect forgets what was made and is no longer stored.
	Collect(ctx context.Context) error
}

// plan is what a change comes to: the version to make, short of its number and time.
type plan struct {
	code      nimbus.Package // as the user gave it
	settings  nimbus.Settings
	compile   bool            // code has to be compiled
	toolchain string          // with what, if that is known
	made      *nimbus.Version // whose package serves as it is; nil = code does, or what is compiled from it
}

// version is the version the plan comes to; not made, when it has to be compiled.
func (p plan) version(function nimbus.ID, number int64) nimbus.Version {
	v := nimbus.Version{FunctionID: function, Number: number, Settings: p.settings, CreatedAt: moment()}
	switch {
	case p.made != nil:
		v.Package, v.Source, v.Toolchain = p.made.Package, p.made.Source, p.made.Toolchain
	case p.compile:
		v.Source = p.code
	default:
		v.Package = p.code
	}
	return v
}

// source is the version the plan comes to as one that is still to be built, even if nothing has to be compiled.
func (p plan) source(function nimbus.ID, number int64) nimbus.Version {
	return nimbus.Version{FunctionID: function, Number: number, Source: p.code, Settings: p.settings, CreatedAt: moment()}
}

// changes reports whether the plan differs from a version in anything a user gives, or code that is given again was
// compiled with what has been replaced since.
func (p plan) changes(v *nimbus.Version) bool {
	code := v.Code()
	return p.outdates(v) || p.code.Hash != code.Hash || p.code.Inline != code.Inline || !same(p.settings, v.Settings)
}

// reuse spares compiling anew what a version was compiled from.
func (p plan) reuse(v *nimbus.Version) plan {
	if v.Made() && !p.outdates(v) && p.code == v.Code() && p.settings.Runtime == v.Settings.Runtime && p.settings.Handler == v.Settings.Handler {
		p.made, p.compile = v, false
	}
	return p
}

// outdates reports whether what compiles is not what has compiled the version.
func (p plan) outdates(v *nimbus.Version) bool {
	return p.compile && p.toolchain != "" && v.Made() && p.toolchain != v.Toolchain
}

// store makes the package of new code and settles what its files decide.
func (s *Service) store(ctx context.Context, settings nimbus.Settings, in Input) (plan, error) {
	src := build.Source{Archive: in.Archive, Binary: in.Binary}
	switch {
	case in.Code != nil:
		src.Text, src.Name = *in.Code, build.TextFile(s.language(settings.Runtime), settings.Handler, *in.Code)
	case in.Binary != nil:
		start, err := build.BinaryStart(in.Binary)
		if err != nil {
			return plan{}, err
		}
		src.Name = build.BinaryFile(s.language(settings.Runtime), settings.Handler, start)
	}
	var p plan
	pkg, err := s.packages.Build(ctx, src, func(tree fs.FS) (err error) {
		p, err = s.settle(tree, settings, in)
		return err
	})
	p.code = pkg
	return p, err
}
