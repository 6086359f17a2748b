# Errors as the platform is told of them.


class UserError(Exception):
    """An outcome that is the user's to mend, with the type it is reported as."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


def describe(error):
    """The RespMeta of an exception."""
    kind, message, lines = type(error).__name__, "", []
    try:
        message = str(error)
        lines = [] if isinstance(error, UserError) else stack(error)
    except BaseException as e:
        message = message or "(its description raised %s)" % type(e).__name__
    if isinstance(error, UserError):
        kind = error.kind
    if isinstance(error, SystemExit):
        kind, message = "Runtime.ExitError", "exit status %d" % exit_status(error)
    elif isinstance(error, KeyboardInterrupt):
        kind, message = "Runtime.ExitError", "KeyboardInterrupt"
    return {"ok": False, "type": kind, "message": message[:MAX_MESSAGE], "stack": lines}


def describe_init(error):
    """The RespMeta of an exception raised while the function was set up."""
    meta = describe(error)
    if isinstance(error, SyntaxError):
        where = os.path.relpath(error.filename or "?")
        meta.update(type="Runtime.UserCodeSyntaxError", message="%s:%s: %s" % (where, error.lineno, error.msg))
    elif isinstance(error, ImportError):
        meta.update(type="Runtime.ImportModuleError", message="Unable to import the handler: " + meta["message"])
    return meta


def exit_status(error):
    """The status that a SystemExit would end a program with."""
    return error.code & 0xFF if isinstance(error.code, int) else int(error.code is not None)


def stack(error):
    """The traceback as lines, without our own frames."""
    report = traceback.TracebackException(type(error), error, error.__traceback__)
    seen, todo = set(), [report]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.stack[:] = [f for f in one.stack if f.filename not in OUR_FILES]
        todo += [one.__cause__, one.__context__]
        todo += getattr(one, "exceptions", None) or []
    lines = "".join(report.format()).splitlines()
    if len(lines) > MAX_STACK:
        half = MAX_STACK // 2
        lines[half:-half] = ["  ... %d lines left out ..." % (len(lines) - 2 * half)]
    return [line[:MAX_STACK_LINE] for line in lines]
