# Events and results: from JSON and to JSON, item by item where they are streamed.


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


def too_large(what, bound):
    return UserError("Function.ResponseSizeTooLarge", "%s, over the bound of %d" % (what, bound))
