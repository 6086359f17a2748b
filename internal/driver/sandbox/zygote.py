"""Forks blank instances of a Python runtime on request; it never runs user code.

It is started by Nimbus's init as PID 1 of a PID namespace, root of a user namespace that maps 65536 ids, in
a read-only root, with a control socket (SEQPACKET, one message a request or reply) as descriptor 3.

    setup    JSON, once: what every instance is held to; policy.go decides it
    request  seq, uid, /tmp bytes and inodes, and descriptors: socket, stdout, stderr, cgroup files
    reply    kind, seq, status; 'F' forked, with the child's pidfd · 'X' exited · 'E' not forked, with a text

The package spawn does the same for runtimes that are executed and not forked.

The order of the steps in instance() is what the kernel demands: each needs a right that a later one gives up.
"""

import _socket
import ctypes
import fcntl
import importlib.util
import json
import os
import select
import signal
import socket
import stat
import struct
import sys
import traceback

CONTROL = 3
REQUEST = struct.Struct("=QIQQ")  # seq, uid, /tmp bytes and inodes
REPLY = struct.Struct("=cQi")  # kind, seq, wait status
FDS = struct.Struct("=16i")

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND = 2, 4, 8, 4096
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
SYS_PIDFD_OPEN, SYS_CLOSE_RANGE = 434, 436
SYS_LANDLOCK_CREATE_RULESET, SYS_LANDLOCK_ADD_RULE, SYS_LANDLOCK_RESTRICT_SELF = 444, 445, 446
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 4, 22, 24, 38
SECCOMP_MODE_FILTER = 2
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40

libc = ctypes.CDLL(None, use_errno=True)


class Filter(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


class RulesetAttr(ctypes.Structure):
    """struct landlock_ruleset_attr, as far as ABI 1 knows it."""

    _fields_ = [("handled_access_fs", ctypes.c_uint64)]


class PathBeneath(ctypes.Structure):
    """struct landlock_path_beneath_attr."""

    _pack_ = 1
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (what, os.strerror(number)))
    return result


def syscall(what, number, *arguments):
    return check(libc.syscall(ctypes.c_long(number), *arguments), what)


def prctl(what, option, argument, *more):
    more = [ctypes.c_ulong(m) if isinstance(m, int) else m for m in more]
    more += [ctypes.c_ulong(0)] * (3 - len(more))
    return check(libc.prctl(ctypes.c_int(option), ctypes.c_ulong(argument), *more), what)


def mount(source, target, kind, flags, options=None):
    check(libc.mount(source, target, kind, ctypes.c_ulong(flags), options), "mount %s" % target.decode())


class Zygote:
    """Everything that can be made ready before a fork is an attribute of this."""

    def __init__(self, setup, serve):
        self._serve = serve
        self._control = socket.socket(fileno=CONTROL)
        self._pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._children = {}  # pid → seq
        self._shm = b"mode=1777,nr_inodes=1024,size=%d" % setup["shm"]
        self._oom_score = b"%d" % setup["oom_score"]
        self._masks = list(masks(setup["masked"]))
        program = bytes.fromhex(setup["filter"])
        self._filter = Filter(len(program) // 8, program)
        self._rules = setup["landlock"]
        self._lo_up = struct.pack("16sH14x", b"lo", IFF_UP | IFF_RUNNING)
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        # Children inherit both; the zygote itself needs neither new programs nor bounding set.
        prctl("no_new_privs", PR_SET_NO_NEW_PRIVS, 1)
        for capability in range(64):
            if libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) < 0:
                break  # past the kernel's last

    def run(self):
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        self._control.send(REPLY.pack(b"R", 0, 0))
        while True:
            for fd, _ in poll.poll():
                if fd == self._wake:
                    os.read(self._wake, 512)
                    self._reap()
                else:
                    self._request()

    def _request(self):
        message, control, _, _ = self._control.recvmsg(64, socket.CMSG_SPACE(FDS.size), socket.MSG_CMSG_CLOEXEC)
        if not message:
            os._exit(0)  # the server is gone; the kernel ends every instance with us
        fds = []
        for _, _, data in control:
            fds += struct.unpack("=%di" % (len(data) // 4), data[: len(data) // 4 * 4])
        seq, uid, *tmp = REQUEST.unpack(message)
        try:
            self._fork(seq, uid, tmp, fds)
        except OSError as e:
            self._control.send(REPLY.pack(b"E", seq, 0) + str(e).encode())
        finally:
            for fd in fds:
                os.close(fd)

    def _fork(self, seq, uid, tmp, fds):
        # One fork suffices: unshare puts the next child, not us, into the new namespace, and setns undoes it
        # for the children after.
        check(libc.unshare(CLONE_NEWPID), "unshare pid")
        try:
            pid = os.fork()
            if pid == 0:
                self._child(uid, tmp, fds)
        finally:
            check(libc.setns(self._pid_namespace, CLONE_NEWPID), "setns pid")
        self._children[pid] = seq
        pidfd = syscall("pidfd_open", SYS_PIDFD_OPEN, ctypes.c_int(pid), ctypes.c_uint(0))
        try:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("=i", pidfd))]
            self._control.sendmsg([REPLY.pack(b"F", seq, 0)], rights)
        finally:
            os.close(pidfd)

    def _reap(self):
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._control.send(REPLY.pack(b"X", self._children.pop(pid), status))

    def _child(self, uid, tmp, fds):
        """Becomes an instance. What goes wrong is its last word on stderr."""
        try:
            os.dup2(fds[1], 1)
            os.dup2(fds[2], 2)
            self._instance(uid, tmp, fds)
            self._serve(CONTROL)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(70)

    def _instance(self, uid, tmp, fds):
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for fd in fds[3:]:
            os.write(fd, b"0")
        # The instance's socket takes the place of the control socket.
        self._control.detach()
        os.dup2(fds[0], CONTROL, inheritable=False)
        syscall("close_range", SYS_CLOSE_RANGE, ctypes.c_uint(CONTROL + 1), ctypes.c_uint(0xFFFFFFFF), ctypes.c_int(0))
        os.setsid()
        adjust = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(adjust, self._oom_score)
        os.close(adjust)

        check(libc.unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP), "unshare")
        size, inodes = tmp
        options = b"mode=1777,nr_inodes=%d,size=%d" % (inodes, size)
        mount(b"tmpfs", b"/tmp", b"tmpfs", MS_NOSUID | MS_NODEV, options)
        mount(b"tmpfs", b"/dev/shm", b"tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, self._shm)
        mount(b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        for path in self._masks:
            mount(b"/dev/null", path, None, MS_BIND)
        plain = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
        fcntl.ioctl(plain.fileno(), SIOCSIFFLAGS, self._lo_up)
        plain.close()

        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)  # and with it every capability
        # A change of user id made /proc/self root's; the instance may look at itself.
        prctl("dumpable", PR_SET_DUMPABLE, 1)
        landlock(self._rules)
        prctl("seccomp", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(self._filter))


def masks(names):
    """The files of /proc that others may read or write here. Where a mode keeps them out, nothing is hidden."""
    for name in names:
        try:
            mode = os.stat("/proc/" + name).st_mode
        except FileNotFoundError:
            continue
        if stat.S_ISREG(mode) and mode & (stat.S_IROTH | stat.S_IWOTH):
            yield b"/proc/" + name.encode()


def landlock(rules):
    if rules is None:
        return
    attr = RulesetAttr(rules["handled"])
    ruleset = syscall(
        "landlock_create_ruleset", SYS_LANDLOCK_CREATE_RULESET, ctypes.byref(attr), ctypes.c_size_t(8), ctypes.c_uint(0)
    )
    for rule in rules["rules"]:
        fd = os.open(rule["path"], os.O_PATH | os.O_CLOEXEC)
        rule = PathBeneath(rule["access"], fd)
        syscall(
            "landlock_add_rule", SYS_LANDLOCK_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(1), ctypes.byref(rule),
            ctypes.c_uint(0),
        )
        os.close(fd)
    syscall("landlock_restrict_self", SYS_LANDLOCK_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    os.close(ruleset)


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main():
    sys.dont_write_bytecode = True
    setup = json.loads(os.read(CONTROL, 1 << 20))
    bootstrap = load("_nimbus_bootstrap", setup["bootstrap"])
    zygote = Zygote(setup, bootstrap.serve)
    bootstrap.prepare()
    zygote.run()


if __name__ == "__main__":
    main()
