"""The functions that the driver conformance suite runs, one a case."""

import os
import socket
import subprocess
import sys
import threading
import time

started = time.monotonic()


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
        "files": sorted(int(f) for f in os.listdir("/proc/self/fd")),
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
