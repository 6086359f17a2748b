package function

import (
	"io/fs"

	"nimbus"
	"nimbus/internal/build"
	"nimbus/internal/runtime"
)

// settle decides runtime and handler, which only the files of a package can: what was named must be there,
// and what was not is inferred.
func (s *Service) settle(tree fs.FS, settings nimbus.Settings, in Input) (nimbus.Settings, error) {
	var r runtime.Runtime
	var err error
	if settings.Runtime != "" {
		switch r, err = s.runtimes.Resolve(settings.Runtime); {
		case err == nil:
			settings.Runtime = r.Name
		case in.Runtime != nil:
			return settings, err
		}
		// That an old version's runtime has left the machine is no fault of this change.
	}
	if settings.Handler != "" {
		if err := build.FindHandler(tree, settings.Handler); err != nil {
			return settings, err
		}
	}
	language := runtime.Python // what a handler's file of its own form tells
	if settings.Handler == "" {
		language, settings.Handler, err = build.Infer(tree)
		if err != nil && r.DefaultHandler != "" && build.FindHandler(tree, r.DefaultHandler) == nil {
			// The runtime was named, and has a convention.
			settings.Handler, err = r.DefaultHandler, nil
		}
		if err != nil {
			return settings, err
		}
	}
	if settings.Runtime == "" {
		if r, err = s.runtimes.Default(language); err != nil {
			return settings, err
		}
		settings.Runtime = r.Name
	}
	return settings, nil
}
