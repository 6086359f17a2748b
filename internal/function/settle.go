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
	language := r.Language
	switch {
	case settings.Handler == "" && language == "":
		language, settings.Handler, err = build.Infer(tree)
	case settings.Handler == "":
		settings.Handler, err = inferHandler(tree, r)
	case language == "":
		language, err = build.InferLanguage(tree, settings.Handler)
	default:
		err = build.FindHandler(tree, language, settings.Handler)
	}
	if err != nil {
		return settings, err
	}
	if settings.Runtime == "" {
		if r, err = s.runtimes.Default(language); err != nil {
			return settings, err
		}
		settings.Runtime = r.Name
	}
	return settings, nil
}

// inferHandler prefers what the files tell over the runtime's convention.
func inferHandler(tree fs.FS, r runtime.Runtime) (string, error) {
	handler, err := build.InferHandler(tree, r.Language)
	if err != nil && r.DefaultHandler != "" && build.FindHandler(tree, r.Language, r.DefaultHandler) == nil {
		return r.DefaultHandler, nil
	}
	return handler, err
}
