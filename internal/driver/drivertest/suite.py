"""The functions that the driver conformance suite runs, one a case."""

import os
import socket
import subprocess
import sys
import threading
import time

def attempt(action):
    """Returns what came of an action: its value, or the name of its error."""
    try:
        return {"value": action()}
    except BaseException as e:
        return {"error": type(e).__name__, "text": str(e)}


def echo(event, context):
    return event


def count(event):
    count.calls = getattr(count, "calls", 0) + 1
    return count.calls


def exit(event):
    print("last words")
    os._exit(event)


def last(event):
    os.write(1, b"x" * 60000 + b"end")
    os._exit(0)


def abort(event):
    os.abort()


def loop(event):
    print("looping", flush=True)
    while True:
        pass


def raises(event):
    raise ValueError("not today")


def hog(event):
    kept = []
    while True:
        kept.append(b"x" * (1 << 20))


def grow(event):
    """Fills memory once the call is over."""
    threading.Timer(0.01, hog, (event,)).start()
    return "soon"


def hog_in_child(event):
    """The kernel may take the child alone, or all; either is an answer."""
    return subprocess.call([sys.executable, "-S", "-c", "x = [b'x' * (1 << 20) for _ in range(1 << 14)]"])


def allocate(event):
    return len(bytearray(event))


def say(event):
    for i in range(event):
        print("line %d" % i)
    os.write(2, b"raw to stderr\n")
    return "said"


def stream(event):
    for i in range(event["items"]):
        yield "x" * event["size"]


def target(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""  # what listed the directory


def started_with():
    with open("/proc/self/environ") as f:
        return dict(e.partition("=")[::2] for e in f.read().split("\0") if e)


def facts(event):
    status = {}
    with open("/proc/self/status") as f:
        for line in f:
            key, _, value = line.partition(":")
            status[key] = value.strip()
    return {
        "pid": os.getpid(),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "groups": os.getgroups(),
        "hostname": socket.gethostname(),
        "status": status,
        "environment": dict(os.environ),
        "processes": sorted(int(p) for p in os.listdir("/proc") if p.isdigit()),
        "directory": os.getcwd(),
        "files": {f: target("/proc/self/fd/" + f) for f in os.listdir("/proc/self/fd")},
        "started": started_with(),
    }


def write(event):
    def action():
        with open(event["path"], "wb") as f:
            left = event.get("bytes", 1)
            while left > 0:
                left -= f.write(b"x" * min(left, 1 << 20))

    return attempt(action)


def read(event):
    def action():
        with open(event, "rb") as f:
            return f.read(4096).decode("latin-1")

    return attempt(action)


def listdir(event):
    return attempt(lambda: sorted(os.listdir(event)))


def background(event):
    """Leaves processes that ignore every signal they can and hold on to stdout."""
    children = [
        subprocess.Popen(
            [sys.executable, "-S", "-c", "import os, signal, time\nfor s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\n"
             "os.setsid()\nprint('up', flush=True)\ntime.sleep(1000)"],
            stdout=subprocess.PIPE if i else None,
        )
        for i in range(event)
    ]
    for child in children[1:]:
        child.stdout.readline()
    return len(children)


def breed(event):
    """Starts processes until no more can be."""
    children = []
    try:
        for _ in range(event):
            children.append(subprocess.Popen(["/bin/sleep", "1000"]))
    except OSError as e:
        return {"started": len(children), "error": type(e).__name__}
    finally:
        for child in children:
            child.kill()
            child.wait()
    return {"started": len(children), "error": None}


def serve(event):
    """Listens on every address and on an abstract name, for as long as the instance lives."""
    tcp = socket.create_server(("0.0.0.0", event))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind("\0nimbus-suite")
    unix.listen()
    serve.kept = tcp, unix
    with socket.create_connection(("127.0.0.1", event), 1):
        return "listening"


def connect(event):
    def abstract():
        with socket.socket(socket.AF_UNIX) as s:
            s.connect("\0nimbus-suite")

    def tcp():
        socket.create_connection(("127.0.0.1", event), 1).close()

    return {"tcp": attempt(tcp), "abstract": attempt(abstract)}


def kill(event):
    return attempt(lambda: os.kill(event, 9))


def random_bytes(event):
    import random
    import secrets
    import ssl
    import tempfile
    import uuid

    with tempfile.NamedTemporaryFile() as f:
        name = f.name
    return [random.random(), uuid.uuid4().hex, uuid.uuid1().hex, secrets.token_hex(), ssl.RAND_bytes(16).hex(), name]


def shell(event):
    return subprocess.run(["/bin/sh", "-c", event], capture_output=True, text=True, check=True).stdout


def forbidden(event):
    """Tries what the filter, Landlock and the missing rights forbid."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    def result(value):
        if value < 0:
            raise OSError(ctypes.get_errno(), "refused")

    return {
        "mknod": attempt(lambda: os.mknod("/tmp/device", 0o600 | 0o020000, os.makedev(1, 3))),
        "unshare": attempt(lambda: result(libc.unshare(0x10000000))),
        "mount": attempt(lambda: result(libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None))),
        "chroot": attempt(lambda: os.chroot("/tmp")),
        "setuid": attempt(lambda: os.setuid(0)),
        "ptrace": attempt(lambda: result(libc.ptrace(0, 0, 0, 0))),
        "reboot": attempt(lambda: result(libc.reboot(0))),
        "sethostname": attempt(lambda: socket.sethostname("other")),
    }


def tick(event):
    """Counts in the background; the event says whether to start or to read."""
    if event == "start":
        def run():
            while True:
                tick.count += 1
                time.sleep(0.001)

        tick.count = 0
        threading.Thread(target=run, daemon=True).start()
    return tick.count


def library(event):
    """Uses what handlers rely on; returns what each part answered."""
    import asyncio
    import concurrent.futures
    import ctypes
    import hashlib
    import locale
    import mmap
    import multiprocessing
    import platform
    import selectors
    import shutil
    import signal
    import sqlite3
    import ssl
    import tempfile
    import zoneinfo
    from multiprocessing import shared_memory

    def thread_pool():
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return sum(pool.map(lambda n: n * n, range(100)))

    def event_loop():
        async def both():
            process = await asyncio.create_subprocess_exec("/bin/echo", "hi", stdout=asyncio.subprocess.PIPE)
            out, _ = await process.communicate()
            await asyncio.sleep(0.001)
            return out.decode().strip()

        return asyncio.run(both())

    def shell():
        return subprocess.run("echo $((6*7)) | cat", shell=True, capture_output=True, text=True, check=True).stdout.strip()

    def child_process():
        queue, lock = multiprocessing.SimpleQueue(), multiprocessing.Lock()

        def work():
            with lock:
                queue.put(os.getppid())

        process = multiprocessing.Process(target=work)
        process.start()
        answer = queue.get()
        process.join()
        return answer == os.getpid() and process.exitcode == 0

    def spawned_process():
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=time.sleep, args=(0,))
        process.start()
        process.join()
        return process.exitcode

    def shared():
        block = shared_memory.SharedMemory(create=True, size=4096)
        block.buf[0] = 7
        value = block.buf[0]
        block.close()
        block.unlink()
        return value

    def database():
        with tempfile.TemporaryDirectory() as directory:
            db = sqlite3.connect(os.path.join(directory, "db"))
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE t (n)")
            db.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(10)])
            db.commit()
            return db.execute("SELECT sum(n) FROM t").fetchone()[0]

    def loopback():
        server = socket.create_server(("127.0.0.1", 0))
        with socket.create_connection(("localhost", server.getsockname()[1]), 1) as client:
            peer, _ = server.accept()
            peer.sendall(b"hello")
            peer.close()
            received = client.recv(5).decode()
        server.close()
        return received

    def alarm():
        got = []
        old = signal.signal(signal.SIGALRM, lambda *_: got.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        while not got:
            time.sleep(0.001)
        signal.signal(signal.SIGALRM, old)
        return len(got)

    def files():
        with tempfile.NamedTemporaryFile("w+", suffix=".txt") as f:
            f.write("x" * 5000)
            f.flush()
            copy = shutil.copy(f.name, f.name + ".copy")
            with open(copy) as g, mmap.mmap(g.fileno(), 0, access=mmap.ACCESS_READ) as m:
                return len(m)

    parts = {
        "thread_pool": thread_pool,
        "event_loop": event_loop,
        "shell": shell,
        "child_process": child_process,
        "spawned_process": spawned_process,
        "shared": shared,
        "database": database,
        "loopback": loopback,
        "alarm": alarm,
        "files": files,
        "zone": lambda: str(zoneinfo.ZoneInfo("Europe/Berlin")),
        "certificates": lambda: ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED,
        "hash": lambda: hashlib.sha256(b"").hexdigest()[:8],
        "selector": lambda: type(selectors.DefaultSelector()).__name__,
        "libc": lambda: ctypes.CDLL(None).getpid() == os.getpid(),
        "platform": lambda: platform.system(),
        "encoding": lambda: locale.getpreferredencoding(),
        "stdout_file": lambda: open("/dev/stdout", "w").write("to a file\n"),
        "user": lambda: os.path.expanduser("~"),
        "exit": lambda: callable(exit),
    }
    return {name: attempt(part) for name, part in parts.items()}


def hoard(event):
    """Leaves datagrams unread until that many bytes were sent; returns how many of them were kept."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receivers, left = [], event
    while left > 0:
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(("127.0.0.1", 0))
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 30)  # as much as may be
        receiver.setblocking(False)
        receivers.append(receiver)
        room = min(left, receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
        for _ in range(0, room, 60000):
            sender.sendto(b"x" * 60000, receiver.getsockname())
        left -= room
    kept = 0
    for receiver in receivers:
        try:
            while True:
                kept += len(receiver.recv(1 << 16))
        except BlockingIOError:
            pass
    return kept


def sockets(event):
    """Tries sockets and pairs of every family; returns those that the kernel knows."""
    import ctypes
    import errno

    libc, fds, found = ctypes.CDLL(None, use_errno=True), (ctypes.c_int * 2)(), set()
    for family in range(46):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            for what, made in ("socket", libc.socket(family, kind, 0)), ("pair", libc.socketpair(family, kind, 0, fds)):
                if made >= 0 or ctypes.get_errno() != errno.EAFNOSUPPORT:
                    found.add("%s of family %d" % (what, family))
    with socket.create_server(("localhost", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1])).close()  # resolving needs no netlink
    return sorted(found)


def deplete(event):
    """Takes all it can of what the kernel counts for a machine's root, or the machine; returns how much of each."""
    import ctypes
    import signal

    libc = ctypes.CDLL(None, use_errno=True)
    taken = {"inotify": 0, "aio": 0, "signals": 0}
    while libc.inotify_init() >= 0:
        taken["inotify"] += 1
    if os.uname().machine == "x86_64":
        context = ctypes.c_long(0)
        while libc.syscall(206, 1000, ctypes.byref(context)) == 0:  # io_setup
            taken["aio"] += 1000
            context.value = 0
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
    while libc.sigqueue(os.getpid(), int(signal.SIGRTMIN), None) == 0:
        taken["signals"] += 1
    return taken


def lower_cores(event):
    """Asks for no core dumps at all; returns what the limit is then."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return resource.getrlimit(resource.RLIMIT_CORE)
