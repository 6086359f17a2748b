package function

import (
	"io/fs"

	"nimbus"
	"nimbus/internal/build"
	"nimbus/internal/runtime"
)

// settle decides runtime and handler, which only the files of a package can: what was named must be there,
// and what was not is inferred. The plan lacks its code.
func (s *Service) settle(tree fs.FS, settings nimbus.Settings, in Input) (plan, error) {
	r, settings, err := s.chooseHandler(tree, settings, in)
	if err != nil {
		return plan{}, err
	}
	p := plan{settings: settings, compile: s.compiler.Effort(tree, r, settings.Handler) != build.None}
	if p.compile && in.hasCode() {
		p.toolchain = s.compiler.Toolchain(tree, r, settings.Handler)
	}
	return p, nil
}

// chooseHandler returns the runtime, zero if it is an old version's that has left the machine, and the settings
// that name it and the handler.
func (s *Service) chooseHandler(tree fs.FS, settings nimbus.Settings, in Input) (runtime.Runtime, nimbus.Settings, error) {
	var r runtime.Runtime
	var err error
	if settings.Runtime != "" {
		switch r, err = s.runtimes.Resolve(settings.Runtime); {
		case err == nil:
			settings.Runtime = r.Name
		case in.Runtime != nil:
			return r, settings, err
		}
		// That an old version's runtime has left the machine is no fault of this change.
	}
	language := r.Language
	if language != "" && in.Handler == nil && !build.ValidHandler(language, settings.Handler) {
		settings.Handler = "" // that of another language
	}
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
		return r, settings, err
	}
	if settings.Runtime == "" {
		if r, err = s.runtimes.Default(language); err != nil {
			return r, settings, err
		}
		settings.Runtime = r.Name
	}
	return r, settings, nil
}

// inferHandler prefers what the files tell over the runtime's convention.
func inferHandler(tree fs.FS, r runtime.Runtime) (string, error) {
	handler, err := build.InferHandler(tree, r.Language)
	if err != nil && r.DefaultHandler != "" && build.FindHandler(tree, r.Language, r.DefaultHandler) == nil {
		return r.DefaultHandler, nil
	}
	return handler, err
}
