# The process around a runtime: from the zygote to the end.


def prepare():
    """Readies a zygote: imports what handlers commonly need, and shields the heap from copy-on-write.

    The zygote must draw nothing from OpenSSL: its generator takes a seed at the first draw, and tells a fork
    by the pid, which is 1 in every child. (To reseed a generator costs each child 1 ms and half a megabyte.)

    gc.freeze() moves everything alive out of the collector's sight: a collection in a child would else
    write to every object's header and so copy every page of the heap (7 MB an instance instead of 2).
    """
    for name in COMMON:
        try:
            importlib.import_module(name)
        except ImportError:
            pass  # distributions split the standard library; a handler that needs it will say so
    _sane_process()
    gc.collect()
    gc.disable()
    gc.freeze()


def after_fork():
    """Gives a child of os.fork() randomness of its own, where that does not come by itself.

    Zygote and child may both be PID 1, each of a PID namespace of its own: what goes by the pid can't tell
    them apart.
    """
    modules = sys.modules
    if "tempfile" in modules:
        modules["tempfile"]._name_sequence = None
        modules["tempfile"].tempdir = None
    if "uuid" in modules:
        modules["uuid"]._node = modules["uuid"]._last_timestamp = None
    if "multiprocessing.process" in modules:
        modules["multiprocessing.process"].current_process().authkey = os.urandom(32)


def serve(fd):
    """Serves one instance over fd, in a child of a process that called prepare(). Never returns."""
    after_fork()
    gc.enable()
    _warm()
    channel = Channel(fd)
    channel.send(HELLO, 0, _dumps({"version": VERSION, "runtime": "python%d.%d" % sys.version_info[:2]}).encode())
    Runtime(channel).run()


def resume(fd, memfd):
    """Goes on serving in the fresh process that Init asked for; memfd holds the unread input."""
    channel = Channel(fd)
    with open(memfd, "rb") as unread:
        channel.unread(unread.read())
    Runtime(channel, fresh=True).run()


def _sane_process():
    """Makes the process look like a plain program's, whatever started it."""
    sys.dont_write_bytecode = True
    sys.argv[:] = [""]
    site.setquit()  # what -S left out
    site.sethelper()
    sys.modules.pop(__name__, None)  # a user's module may be called the same
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__builtins__ = sys.modules["builtins"]
    for stream in filter(None, (sys.stdout, sys.stderr)):
        if "PYTHONIOENCODING" in os.environ:
            stream.reconfigure(line_buffering=True)
        else:
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _warm():
    """Runs a dummy function's first call, so that the real one's finds its pages copied and its paths known.

    Everything goes the way a real call goes, over a socket pair, and is undone afterwards.
    """
    code = os.path.join(BASE_ENV["TMPDIR"], "warm-" + os.urandom(8).hex())
    try:
        os.mkdir(code, 0o700)
    except OSError:
        return  # nowhere to write: the first call is slower, and nothing else
    kept = dict(os.environ), os.getcwd(), sys.path[:], sys.argv[:]
    try:
        with open(os.path.join(code, "warm.py"), "w") as f:
            f.write("def handle(event, context):\n    return event\n")
        channel, sender = [Channel(end.detach()) for end in _socket.socketpair()]
        runtime = Runtime(channel, fresh=True)
        init = dict.fromkeys(("function_id", "function_name", "function_version", "namespace"), "warm")
        init.update(handler="warm.handle", code_dir=code, memory_mb=0, max_response=BUFFER, max_stream=0)
        meta = _dumps({"request_id": "warm", "deadline_ms": 0}).encode()
        sender.send(INIT, 0, _dumps(init).encode())
        sender.send_meta(EXEC, 1, meta, b'{"name":"warm"}')
        for _ in range(2):
            runtime.handle(*channel.read())
            sender.read()
        channel.close()
        sender.close()
    finally:
        environ, directory, sys.path[:], sys.argv[:] = kept
        os.environ.clear()
        os.environ.update(environ)
        os.chdir(directory)
        sys.modules.pop("warm", None)
        sys.path_importer_cache.pop(code, None)
        os.unlink(os.path.join(code, "warm.py"))
        os.rmdir(code)


def _flush():
    """Hands everything printed so far to the log, whatever user code has made of the streams."""
    try:
        for handler in [reference() for reference in sys.modules["logging"]._handlerList]:
            handler.flush()
    except BaseException:
        pass  # not imported, or not as we know it
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()
        except BaseException:
            pass


def _exit():
    """Ends the process as a plain interpreter would, but without waiting for threads."""
    try:
        atexit._run_exitfuncs()
    except BaseException:
        pass
    _flush()
    os._exit(0)
