# Frames over the connection to the platform.


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
