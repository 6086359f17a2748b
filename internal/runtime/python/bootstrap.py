"""The runtime of a Python instance: it speaks the agent protocol and runs the user's handler.

Two ways lead in. A zygote imports this module, calls prepare() once, forks, and calls serve(fd) in the
child once that is in its sandbox. Without a zygote, `python3 -I -S bootstrap.py --fd N` does all of it.
serve() never returns. The fd is a connected stream socket; fds 1 and 2 are the log.

Frames are `u32 length | u8 type | u64 invocation | payload`, as internal/wire describes.

It is one file, and longer than most, because it travels as one: into a sandbox's root, or to an
interpreter's command line. User code shares the interpreter with it, so what serving needs is imported
first and bound to names of its own: a handler may replace, patch or shadow modules.
"""

import _socket
import atexit
import fcntl
import gc
import importlib
import inspect
import json
import os
import site
import struct
import sys
import time
import traceback
import types
from importlib.machinery import all_suffixes

VERSION = 1
HELLO, INIT, EXEC, RESP, PING, PONG, _, CHUNK, CANCEL, STOP, WINDOW = range(11)

MAX_FRAME = (16 << 20) + 9
INITIAL_WINDOW = 1 << 20
HEADER = struct.Struct(">IBQ")
META_HEADER = struct.Struct(">IBQI")
OK_META = b'{"ok":true}'
STREAMED_META = b'{"ok":true,"streamed":true}'
BUFFER = 16 << 10  # frames up to this size take one receive and one send
MAX_MESSAGE = 16 << 10  # characters of an error's message
MAX_STACK = 100  # lines of a stack, half from either end
MAX_STACK_LINE = 512  # characters

# What a bare interpreter has imported before it runs any program. User modules can't shadow these, as
# under plain Python; everything else that was only imported ahead, they can.
PLAIN = frozenset(
    "abc codecs encodings genericpath io os posixpath site stat zipimport _collections_abc "
    "_sitebuiltins __main__".split()
) | frozenset(sys.builtin_module_names)

# Settings that act when a process starts, by prefix and by name, and two of them that are in effect anyway.
AT_START_PREFIXES = ("LD_", "PYTHON", "MALLOC_", "LC_")
AT_START = {"GLIBC_TUNABLES", "OPENSSL_CONF", "OPENSSL_MODULES", "LANG"}
IN_EFFECT = {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
BASE_ENV = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "TMPDIR": "/tmp",
    "LANG": "C.UTF-8",
}

# Imported ahead by a zygote: what handlers commonly import, and what serving them needs.
COMMON = (
    "asyncio base64 collections concurrent.futures contextlib copy csv ctypes dataclasses datetime decimal "
    "email email.message enum functools gzip hashlib hmac html http.client io itertools json logging math "
    "operator pathlib random re secrets shutil signal socket sqlite3 ssl string subprocess tempfile "
    "threading time traceback typing urllib.parse urllib.request uuid zlib"
).split()

# Frames of these files are ours, not the user's.
OUR_FILES = {__file__, importlib.__file__, "<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>"}

_getpid, _time = os.getpid, time.time
_loads = json.loads
_dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_dumps_ascii = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode
_SCALARS = frozenset((dict, list, str, int, float, bool, type(None)))


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


class Channel:
    """Frames over a socket: one receive and one send a call, blocking.

    It stands on _socket because monkey-patching libraries replace socket.
    """

    def __init__(self, fd):
        # Out of the way of code that closes the low descriptors, and never inherited by a subprocess.
        high = min(500, os.sysconf("SC_OPEN_MAX") // 2)
        self._sock = _socket.socket(fileno=fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, high))
        os.close(fd)
        self._sock.setblocking(True)
        self._buffer = bytearray(BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._pid = _getpid()

    def fileno(self):
        return self._sock.fileno()

    def close(self):
        self._sock.close()

    def unread(self, data):
        """Puts data in front of what is still to come."""
        data += self.buffered()
        self._buffer = bytearray(max(BUFFER, len(data)))
        self._view = memoryview(self._buffer)
        self._view[: len(data)] = data
        self._start, self._end = 0, len(data)

    def buffered(self):
        """What was received and not read yet."""
        return bytes(self._view[self._start : self._end])

    def pending(self):
        """Whether a frame has begun to arrive; takes in what is there without waiting."""
        if self._start == self._end:
            self._start = self._end = 0
            try:
                self._end = self._sock.recv_into(self._view, 0, _socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            if self._end == 0:
                raise EOFError
        return True

    def read(self):
        """Returns type, invocation and payload; the payload is valid until the next read."""
        self._fill(13)
        length, kind, number = HEADER.unpack_from(self._view, self._start)
        if not 9 <= length <= MAX_FRAME:
            raise EOFError("a frame of length %d" % length)
        size, start = length - 9, self._start + 13
        if length + 4 <= BUFFER:
            self._fill(length + 4)
            start = self._start + 13
            self._start = start + size
            return kind, number, self._view[start : start + size]
        have = min(self._end - start, size)
        large = memoryview(bytearray(size))
        large[:have] = self._view[start : start + have]
        self._start = start + have
        while have < size:
            n = self._sock.recv_into(large[have:])
            if n == 0:
                raise EOFError
            have += n
        return kind, number, large

    def _fill(self, n):
        while self._end - self._start < n:
            if self._start == self._end:
                self._start = self._end = 0
            elif self._start + n > BUFFER:
                rest = self.buffered()
                self._view[: len(rest)] = rest
                self._start, self._end = 0, len(rest)
            got = self._sock.recv_into(self._view[self._end :])
            if got == 0:
                raise EOFError
            self._end += got

    def send(self, kind, number, payload=b""):
        self._send(HEADER.pack(9 + len(payload), kind, number) + payload, b"")

    def send_meta(self, kind, number, meta, raw=b""):
        """Sends a Resp or a Chunk."""
        head = META_HEADER.pack(13 + len(meta) + len(raw), kind, number, len(meta)) + meta
        if len(raw) <= BUFFER:
            self._send(head + raw, b"")
        else:
            self._send(head, raw)

    def _send(self, head, tail):
        if _getpid() != self._pid:
            # A child of the handler's os.fork() came back here; the answer is its parent's to give.
            _flush()
            error = sys.exc_info()[1]
            os._exit(exit_status(error) if isinstance(error, SystemExit) else error is not None)
        if not tail:
            self._sock.sendall(head)
            return
        sent = self._sock.sendmsg((head, tail))
        if sent < len(head):
            self._sock.sendall(head[sent:])
            sent = len(head)
        self._sock.sendall(memoryview(tail)[sent - len(head) :])


class UserError(Exception):
    """An outcome that is the user's to mend, with the type it is reported as."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


class Context:
    """What a handler is told about its call: our names, and AWS's."""

    identity = types.SimpleNamespace(cognito_identity_id=None, cognito_identity_pool_id=None)
    client_context = None

    def __init__(self, meta):
        self.request_id = self.aws_request_id = meta["request_id"]
        self.deadline_ms = meta["deadline_ms"]
        self.trace_id = meta.get("trace_id", "")
        self.traceparent = meta.get("traceparent", "")

    def get_remaining_time_in_millis(self):
        """Milliseconds until the call times out, never below 0."""
        return max(0, int(self.deadline_ms - _time() * 1000))

    def __repr__(self):
        return "Context(%s)" % ", ".join("%s=%r" % item for item in sorted(vars(self).items()))


def context_class(init):
    """The Context of one function: what holds for every call is set on the class."""
    name, version, namespace = init["function_name"], init["function_version"], init["namespace"]
    return type(
        "Context",
        (Context,),
        {
            "__module__": "nimbus",
            "function_name": name,
            "function_version": version,
            "namespace": namespace,
            "memory_limit_mb": init["memory_mb"],
            "memory_limit_in_mb": str(init["memory_mb"]),
            "invoked_function_arn": "arn:nimbus:lambda:local:%s:function:%s:%s" % (namespace, name, version),
            "log_group_name": "/nimbus/%s/%s" % (namespace, name),
            "log_stream_name": "[%s]%s" % (version, os.urandom(8).hex()),
        },
    )


class Runtime:
    """Serves the frames of one instance."""

    def __init__(self, channel, fresh=False):
        self._channel = channel
        self._fresh = fresh  # this process was made for the function's environment
        self._loop = None
        self._traced = False

    def run(self):
        """Serves until the connection or the process ends. Never returns."""
        try:
            while True:
                self.handle(*self._next())
        except (EOFError, ConnectionError):
            os._exit(0)  # the platform is gone
        except BaseException:
            traceback.print_exc()
        _flush()
        os._exit(1)

    def _next(self):
        """Waits for a frame. A signal handler of the user's may raise meanwhile; that ends nothing."""
        while True:
            try:
                return self._channel.read()
            except BaseException as e:
                if isinstance(e, EOFError) or isinstance(e, OSError) and e.errno is not None:
                    raise
                traceback.print_exc()

    def handle(self, kind, number, payload):
        """Acts on one frame."""
        if kind == EXEC:
            self._exec(number, payload)
        elif kind == PING:
            self._channel.send(PONG, number)
        elif kind == INIT:
            self._init(payload)
        elif kind == STOP:
            _exit()
        elif kind == HELLO and _loads(bytes(payload)).get("version") != VERSION:
            os._exit(1)
        # Cancel and Window may come after the stream they are for has ended.

    def _init(self, payload):
        try:
            init = _loads(bytes(payload))
            env = environment(init)
            if not self._fresh and needs_fresh_process(init.get("env") or {}):
                self._restart(payload, env)
            self.become(init, env)
        except BaseException as e:
            self._answer_error(0, describe_init(e))
        else:
            _flush()
            self._channel.send_meta(RESP, 0, OK_META)

    def become(self, init, env):
        """Turns a blank runtime into one of a function."""
        os.environ.clear()
        os.environ.update(env)
        time.tzset()
        code = init["code_dir"]
        module_name, attributes = split_handler(init["handler"])
        os.chdir(code)
        own = os.path.dirname(os.path.abspath(__file__))
        sys.path[:] = [code] + [p for p in sys.path if p not in (code, own, "")]
        sys.path_importer_cache.pop(code, None)
        sys.argv[:] = [os.path.join(code, *module_name.split(".")) + ".py"]
        uncover(code)
        self._call = bind(load(module_name, attributes))
        self._context = context_class(init)
        self._max_response = init["max_response"]
        self._max_stream = init["max_stream"]

    def _restart(self, payload, env):
        """Becomes a fresh interpreter with env; returns only by an exception."""
        unread = HEADER.pack(9 + len(payload), INIT, 0) + payload + self._channel.buffered()
        memfd = os.memfd_create("init", 0)
        os.write(memfd, unread)
        os.lseek(memfd, 0, os.SEEK_SET)
        fd = self._channel.fileno()
        os.set_inheritable(fd, True)
        _flush()
        try:
            os.execve(
                sys.executable,
                [sys.executable, "-s", "-S", os.path.abspath(__file__), "--fd", str(fd), "--resume", str(memfd)],
                env,
            )
        except OSError as e:
            os.set_inheritable(fd, False)
            os.close(memfd)
            raise UserError("Runtime.InitError", "start a fresh interpreter: %s" % e)

    def _exec(self, number, payload):
        answer, raw = OK_META, None
        try:
            split = 4 + int.from_bytes(payload[:4], "big")
            meta = _loads(bytes(payload[4:split]))
            event = decode(payload[split:])
            self._trace(meta.get("traceparent", ""))
            result = self._call(event, self._context(meta))
            if type(result) not in _SCALARS:
                if inspect.isawaitable(result):
                    result = self._await(result)
                if inspect.isgenerator(result) or inspect.isasyncgen(result):
                    if meta.get("stream"):
                        self._drain(result, Stream(self._channel, number, self._max_stream))
                        answer, raw = STREAMED_META, b""
                    else:
                        items = Array(self._max_response)
                        self._drain(result, items)
                        raw = items.json()
            if raw is None:
                raw = encode(result)
                if len(raw) > self._max_response:
                    raise too_large("the response is %d bytes" % len(raw), self._max_response)
        except BaseException as e:
            self._answer_error(number, describe(e))
        else:
            _flush()
            self._channel.send_meta(RESP, number, answer, raw)

    def _trace(self, traceparent):
        """Tells libraries made for AWS of a trace that is recorded."""
        if traceparent[-1:] in ("1", "3"):  # the flag of a sampled trace is the lowest
            os.environ["_X_AMZN_TRACE_ID"] = amazon_trace(traceparent)
            self._traced = True
        elif self._traced:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
            self._traced = False

    def _drain(self, items, sink):
        """Hands the items of a generator to sink until there are no more or it wants no more."""
        if inspect.isgenerator(items):
            try:
                for item in items:
                    if not sink.put(item):
                        break
            finally:
                items.close()
            return

        async def drain():
            # One task sees the whole generator, so that time-outs and context variables span its yields.
            # While the platform gives no credit the loop stands still, as it does for any blocking call.
            try:
                async for item in items:
                    if not sink.put(item):
                        break
            finally:
                await items.aclose()

        self._await(drain())

    def _await(self, awaitable):
        """Runs an awaitable on the instance's one event loop, which keeps what handlers leave on it."""
        import asyncio

        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)

        async def run():
            return await awaitable

        return self._loop.run_until_complete(run())

    def _answer_error(self, number, meta):
        _flush()
        self._channel.send_meta(RESP, number, _dumps_ascii(meta).encode())  # the platform puts it into the log


class Stream:
    """Sends a generator's items as Chunks, within the platform's credit."""

    def __init__(self, channel, number, bound):
        self._channel = channel
        self._number = number
        self._bound = bound
        self._credit = INITIAL_WINDOW
        self._total = 0
        self._cancelled = False

    def put(self, item):
        """Sends an item; False says that the caller wants no more."""
        kind, raw = chunk(item)
        self._total += len(raw)
        if self._total > self._bound:
            raise too_large("the streamed response has reached %d bytes" % self._total, self._bound)
        while not self._cancelled and (self._credit <= 0 or self._channel.pending()):
            self._heed(*self._channel.read())
        if self._cancelled:
            return False
        self._credit -= 4 + len(kind) + len(raw)
        self._channel.send_meta(CHUNK, self._number, kind, raw)
        return True

    def _heed(self, kind, number, payload):
        if kind == PING:
            self._channel.send(PONG, number)
        elif kind == STOP:
            _exit()
        elif number == self._number and kind == WINDOW:
            self._credit += _loads(bytes(payload))["bytes"]
        elif number == self._number and kind == CANCEL:
            self._cancelled = True


class Array:
    """Gathers a generator's items into one JSON array, for a caller that wants no stream."""

    def __init__(self, bound):
        self._items = []
        self._size = 1
        self._bound = bound

    def put(self, item):
        raw = encode(item)
        self._size += len(raw) + 1
        if self._size > self._bound:
            raise too_large("the response has reached %d bytes" % self._size, self._bound)
        self._items.append(raw)
        return True

    def json(self):
        return b"[" + b",".join(self._items) + b"]"


def amazon_trace(traceparent):
    """A W3C trace context as AWS writes one that is sampled."""
    trace, span = traceparent[3:35], traceparent[36:52]
    return "Root=1-%s-%s;Parent=%s;Sampled=1" % (trace[:8], trace[8:], span)


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


def decode(raw):
    """Reads an event."""
    try:
        return _loads(str(raw, "utf-8", "surrogatepass")) if len(raw) else None
    except (ValueError, RecursionError) as e:
        raise UserError("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % e) from None


def encode(result):
    """Writes a result."""
    try:
        text = _dumps(result)
        try:
            return text.encode()
        except UnicodeEncodeError:
            return _dumps_ascii(result).encode()  # lone surrogates can only be written escaped
    except (TypeError, ValueError, RecursionError) as e:
        raise UserError("Runtime.MarshalError", "Unable to marshal response: %s" % e) from None


def chunk(item):
    """Returns the meta and the bytes of a Chunk."""
    if isinstance(item, str):
        try:
            return b'{"kind":"text"}', item.encode()
        except UnicodeEncodeError:
            return b'{"kind":"text"}', item.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
    if isinstance(item, (bytes, bytearray, memoryview)):
        return b'{"kind":"bytes"}', bytes(item)
    return b'{"kind":"json"}', encode(item)


def exit_status(error):
    """The status that a SystemExit would end a program with."""
    return error.code & 0xFF if isinstance(error.code, int) else int(error.code is not None)


def too_large(what, bound):
    return UserError("Function.ResponseSizeTooLarge", "%s, over the bound of %d" % (what, bound))


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


def main(argv):
    arguments = dict(zip(argv[::2], map(int, argv[1::2])))
    if "--fd" not in arguments:
        sys.exit("usage: bootstrap.py --fd N")
    _sane_process()
    if "--resume" in arguments:
        resume(arguments["--fd"], arguments["--resume"])
    serve(arguments["--fd"])


if __name__ == "__main__":
    main(sys.argv[1:])
