# What serves the frames: calls, from their event to their answer.


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


def amazon_trace(traceparent):
    """A W3C trace context as AWS writes one that is sampled."""
    trace, span = traceparent[3:35], traceparent[36:52]
    return "Root=1-%s-%s;Parent=%s;Sampled=1" % (trace[:8], trace[8:], span)
