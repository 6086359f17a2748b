"""The runtime of a Python instance: it speaks the agent protocol and runs the user's handler.

Two ways lead in. A zygote imports this module, calls prepare() once, forks, and calls serve(fd) in the
child once that is in its sandbox. Without a zygote, `python3 -I -S bootstrap.py --fd N` does all of it.
serve() never returns. The fd is a connected stream socket; fds 1 and 2 are the log.

Frames are `u32 length | u8 type | u64 invocation | payload`, as internal/wire describes.

It is one program in several files, which python.go joins in order: it travels as one, into a sandbox's root
or to an interpreter's command line. User code shares the interpreter with it, so what serving needs is
imported first and bound to names of its own: a handler may replace, patch or shadow modules.
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
