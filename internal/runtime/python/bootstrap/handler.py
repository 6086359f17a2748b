# A function's environment, and its handler: which module it is in, how that is loaded, what it takes.


def environment(init):
    """All of the environment of a function's process: the user's wins over the defaults, ours over both."""
    ours = {
        "FUNCTION_NAME": init["function_name"],
        "FUNCTION_VERSION": init["function_version"],
        "FUNCTION_MEMORY_SIZE": str(init["memory_mb"]),
    }
    env = {**BASE_ENV, **(init.get("env") or {}), "NIMBUS_FUNCTION_ID": init["function_id"]}
    env.update(("AWS_LAMBDA_" + name, value) for name, value in ours.items())
    env.update(("NIMBUS_" + name, value) for name, value in ours.items())
    env.update(LAMBDA_TASK_ROOT=init["code_dir"], _HANDLER=init["handler"])
    env.update(NIMBUS_CODE_DIR=init["code_dir"], NIMBUS_HANDLER=init["handler"], NIMBUS_NAMESPACE=init["namespace"])
    return env


def needs_fresh_process(env):
    """Whether env holds settings that act when a process starts."""
    return any(
        (name in AT_START or name.startswith(AT_START_PREFIXES))
        and name not in IN_EFFECT
        and BASE_ENV.get(name) != value
        for name, value in env.items()
    )


def split_handler(handler):
    """Parts `dir/module.function` into a dotted module path and what follows; the last dot may be anywhere."""
    parts = handler.replace("/", ".").split(".")
    if len(parts) < 2 or not all(parts):
        raise UserError("Runtime.HandlerNotFound", "the handler %r is not of the form module.function" % handler)
    return ".".join(parts[:-1]), parts[-1:]


def load(module_name, attributes):
    """Imports the module, from the working directory, and returns the handler in it."""
    while True:
        try:
            module = importlib.import_module(module_name)
            break
        except ModuleNotFoundError as e:
            # module.Class.method: what isn't a module may be an attribute of the one before.
            parent, dot, last = module_name.rpartition(".")
            if e.name is None or not (module_name + ".").startswith(e.name + "."):
                raise
            if not dot:
                there = ", ".join(sorted(os.listdir())[:20]) or "nothing"
                raise UserError("Runtime.ImportModuleError", "%s; the code has %s" % (e, there)) from None
            module_name, attributes = parent, [last] + attributes
    handler, path = module, module_name
    for name in attributes:
        try:
            handler = getattr(handler, name)
        except AttributeError:
            raise UserError(
                "Runtime.HandlerNotFound", "%s has no %r; it has %s" % (path, name, functions(handler))
            ) from None
        path += "." + name
    if inspect.isclass(handler) and any("__call__" in vars(c) for c in handler.__mro__):
        handler = handler()
    if not callable(handler):
        raise UserError("Runtime.HandlerNotFound", "%s is of type %s, not a function" % (path, type(handler).__name__))
    return handler


def functions(owner):
    """Names the functions of a module or class, for a message."""
    home = owner.__module__ if inspect.isclass(owner) else getattr(owner, "__name__", None)
    names = [
        name
        for name, value in sorted(vars(owner).items())
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", home) == home
    ]
    return "the functions " + ", ".join(names[:20]) if names else "no functions"


def bind(handler):
    """Returns handler as a function of (event, context), whichever of them it takes."""
    try:
        shape = inspect.signature(handler, follow_wrapped=False)
        if any(p.kind is p.VAR_POSITIONAL for p in shape.parameters.values()):
            # A decorator's wrapper takes anything; what it wraps says what is wanted.
            shape = inspect.signature(handler)
    except (ValueError, TypeError):
        return lambda event, context: handler(event)
    kinds = [p.kind for p in shape.parameters.values()]
    positional = sum(k in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for k in kinds)
    if positional >= 2 or inspect.Parameter.VAR_POSITIONAL in kinds:
        return handler
    context = shape.parameters.get("context")
    if context is not None and context.kind is context.KEYWORD_ONLY:
        return lambda event, context: handler(event, context=context)
    return lambda event, context: handler(event)


def uncover(code):
    """Forgets modules imported ahead that the user's code has its own of, so that those win."""
    suffixes = tuple(all_suffixes())
    for entry in os.listdir(code):
        name = entry.partition(".")[0]
        if name in PLAIN or name not in sys.modules:
            continue
        package = any(os.path.isfile(os.path.join(code, entry, "__init__" + s)) for s in suffixes)
        if package or entry.endswith(suffixes):
            for loaded in [m for m in sys.modules if m == name or m.startswith(name + ".")]:
                del sys.modules[loaded]
