"""What strangers do in Python: the event says which of it."""

import os
import signal
import subprocess
import threading


def stream(context):
    yield 1
    yield {"two": 2}


def trace(context):
    return context.traceparent


def memory(context):
    everything = []
    while True:
        everything.append(b"x" * (16 << 20))


def disk(context):
    number = 0
    try:
        while True:
            with open(f"/tmp/{number}", "wb") as file:
                file.write(b"x" * (1 << 20))
            number += 1
    except OSError as error:
        return error.errno


def timer(context):
    threading.Thread(target=threading.Event().wait, daemon=False).start()
    return "fine"


def prints(context):
    print("line of a megabyte\n" * 55_000)
    return "fine"


def kill(context):
    os.kill(os.getpid(), signal.SIGKILL)
    return "fine"


def fork(context):
    subprocess.Popen(["sleep", "1234567"], start_new_session=True)
    return "fine"


def close(context):
    for descriptor in range(3, 64):
        try:
            os.close(descriptor)
        except OSError:
            pass
    return "fine"


def garbage(context):
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"\xff" * 64)
        except OSError:
            pass
    return "fine"


def handle(event, context):
    return globals()[event["do"]](context)
