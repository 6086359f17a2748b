package python_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nimbus/internal/runtime/runtimetest"
	"nimbus/internal/testenv"
	"nimbus/internal/wire"
)

func TestEnvironment(t *testing.T) {
	t.Parallel()
	i := blank(t)
	i.WriteFile(t, "handler.py", `
import os, sys, time
at_import = os.environ["GREETING"]
def handle(event):
    if event == "env":
        return dict(os.environ)
    if event == "process":
        main = sys.modules["__main__"]
        return [at_import, os.getcwd() == sys.path[0], os.path.basename(sys.argv[0]), sys.dont_write_bytecode,
                time.localtime(0).tm_hour, __name__, hasattr(main, "__file__"), exit.__class__.__name__]
    if event == "path":
        return [p for p in sys.path if "bootstrap" in p or not p]
`)
	meta := i.Init(t, wire.InitMsg{Env: map[string]string{
		"GREETING": "hello 🎉", "TZ": "JST-9", "HOME": "/var/function", "PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8",
		"_HANDLER": "forged", "NIMBUS_FUNCTION_NAME": "forged",
	}})
	if !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	want := map[string]string{
		"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/var/function", "TMPDIR": "/tmp", "LANG": "C.UTF-8",
		"GREETING": "hello 🎉", "PYTHONUNBUFFERED": "1", "TZ": "JST-9", "LAMBDA_TASK_ROOT": i.Code,
		"_HANDLER": "handler.handle", "NIMBUS_FUNCTION_NAME": "greet", "NIMBUS_FUNCTION_ID": "f1",
		"AWS_LAMBDA_FUNCTION_NAME": "greet", "AWS_LAMBDA_FUNCTION_VERSION": "3", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
		"NIMBUS_FUNCTION_VERSION": "3", "NIMBUS_FUNCTION_MEMORY_SIZE": "256",
		"NIMBUS_CODE_DIR": i.Code, "NIMBUS_HANDLER": "handler.handle", "NIMBUS_NAMESPACE": "default",
	}
	_, result := i.Call(t, `"env"`)
	var got map[string]string
	if err := json.Unmarshal([]byte(result), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	i.Want(t, `"process"`, `["hello 🎉",true,"handler.py",true,9,"handler",false,"Quitter"]`)
	i.Want(t, `"path"`, `[]`)
}

func TestSettingsOfAFreshProcess(t *testing.T) {
	t.Parallel()
	i := blank(t)
	i.WriteFile(t, "lib/extra.py", "value = 'from PYTHONPATH'")
	i.WriteFile(t, "handler.py", `
import os, sys, extra
def handle(event):
    return [hash("a"), extra.value, sys.flags.optimize, os.environ["SECRET"], os.getpid(), os.environ["NIMBUS_NAMESPACE"]]
`)
	meta := i.Init(t, wire.InitMsg{Env: map[string]string{
		"PYTHONHASHSEED": "1", "PYTHONPATH": filepath.Join(i.Code, "lib"), "PYTHONOPTIMIZE": "1",
		"LD_BIND_NOW": "1", "LC_ALL": "C.UTF-8", "SECRET": strings.Repeat("é", 30_000),
	}})
	if !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	other := blank(t)
	other.WriteFile(t, "handler.py", "def handle(event): return hash('a')")
	other.Init(t, wire.InitMsg{Env: map[string]string{"PYTHONHASHSEED": "1"}})
	_, hash := other.Call(t, `null`)
	i.Want(t, `null`, `[`+hash+`,"from PYTHONPATH",1,"`+strings.Repeat("é", 30_000)+`",`+runtimetest.JSON(t, i.Cmd.Process.Pid)+`,"default"]`)
	if err := i.Conn.Ping(runtimetest.Context(t)); err != nil {
		t.Errorf("ping: %v", err)
	}
	// The connection has passed through an exec and must not pass through the next.
	i = blank(t)
	i.WriteFile(t, "handler.py", descriptors)
	i.Init(t, wire.InitMsg{Env: map[string]string{"PYTHONPATH": "/x"}})
	i.Want(t, `null`, `[1,0]`)
}

// descriptors is a handler that tells how many connections it has, and how many a program it starts.
const descriptors = `
import os, subprocess
def handle(event):
    links = [os.readlink("/proc/self/fd/" + fd) for fd in os.listdir("/proc/self/fd") if int(fd) >= 300]
    out = subprocess.run(["sh", "-c", "ls -l /proc/$$/fd"], stdout=subprocess.PIPE, close_fds=False).stdout.decode()
    return [len(links), sum(link in out for link in links)]
`

func TestABrokenStartSettingEndsTheRuntime(t *testing.T) {
	t.Parallel()
	i := blank(t)
	i.WriteFile(t, "handler.py", "def handle(event): return 1")
	_, err := i.Conn.Init(runtimetest.Context(t), wire.InitMsg{
		Handler: "handler.handle", CodeDir: i.Code, Env: map[string]string{"PYTHONHOME": "/nonexistent"},
	})
	if err == nil || !strings.Contains(err.Error(), "the runtime ended") {
		t.Errorf("got %v", err)
	}
}

func TestTheConnectionIsNotInherited(t *testing.T) {
	t.Parallel()
	i := function(t, descriptors)
	i.Want(t, `null`, `[1,0]`)
}

func TestOutput(t *testing.T) {
	t.Parallel()
	i := function(t, `
import logging, os, sys
print("at import")
def prints(): print("line é \ud800 \0"); sys.stdout.write("no newline"); sys.stderr.write("err")
def logs():
    logging.warning("warned")
    logging.info("quiet")
    logging.getLogger("x").error("failed %d", 7)
def noise():
    os.write(1, b"\0\0\0\x05\x03" * 10)
    os.system("echo from a subprocess; echo '{\"ok\": true}'")
def memory_handler():
    from logging.handlers import MemoryHandler
    logger = logging.getLogger("buffered")
    logger.propagate = False
    logger.addHandler(MemoryHandler(100, target=logging.StreamHandler()))
    logger.warning("buffered until the answer")
def replaces(): sys.stdout = None; sys.stderr = open(os.devnull, "w")
def raises(): raise ValueError("unheard")
def closes(): sys.stdout = sys.__stdout__; sys.stderr = sys.__stderr__; sys.stdout.close(); os.close(1); os.close(0)
def still_prints(): print("lost")
def opens(): return open(os.devnull).fileno()
def handle(event): return globals()[event]()
`)
	i.WantLog(t, "at import\n")
	i.Want(t, `"prints"`, `null`)
	i.WantLog(t, `line é \ud800 `+"\x00\n")
	i.WantLog(t, "no newline")
	i.WantLog(t, "err")
	i.Want(t, `"logs"`, `null`)
	i.WantLog(t, "WARNING:root:warned\nERROR:x:failed 7\n")
	if strings.Contains(i.Printed(), "quiet") {
		t.Error("logging does not behave as in plain Python")
	}
	i.Want(t, `"noise"`, `null`)
	i.WantLog(t, "from a subprocess\n{\"ok\": true}\n")
	i.Want(t, `"memory_handler"`, `null`)
	i.WantLog(t, "buffered until the answer")
	i.Want(t, `"replaces"`, `null`)
	i.WantError(t, `"raises"`, "ValueError", "unheard")
	i.Want(t, `"closes"`, `null`)
	i.WantError(t, `"still_prints"`, "ValueError", "closed file")
	i.Want(t, `"opens"`, `0`)
}

func TestUserModulesWin(t *testing.T) {
	t.Parallel()
	i := blank(t)
	for _, name := range []string{"random.py", "html/__init__.py", "logging.py", "inspect.py", "warm.py", "bootstrap.py", "traceback/__init__.py"} {
		i.WriteFile(t, name, "mine = True")
	}
	for _, name := range []string{"os.py", "codecs.py", "time.py", "site.py"} { // as under plain Python
		i.WriteFile(t, name, "raise ImportError('not mine')")
	}
	i.WriteFile(t, "json/data.txt", "a directory that is no package")
	i.WriteFile(t, "handler.py", `
import random, html, logging, inspect, warm, bootstrap, traceback
import os, codecs, time, site, json
def handle(event):
    if event: raise ValueError("boom")
    return all(m.mine for m in (random, html, logging, inspect, warm, bootstrap, traceback)) and bool(json.dumps)
`)
	if meta := i.Init(t, wire.InitMsg{}); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	i.Want(t, `0`, `true`)
	meta := i.WantError(t, `1`, "ValueError", "boom")
	if len(meta.Stack) == 0 {
		t.Error("no stack")
	}
	i.Want(t, `0`, `true`)
}

func TestPatchedModulesDoNoHarm(t *testing.T) {
	t.Parallel()
	i := function(t, `
import json, os, socket, sys, time, inspect, struct
json.loads = json.dumps = None
json.JSONEncoder.encode = None
socket.socket = None
time.time = lambda: 0
os.getpid = lambda: 1
inspect.isawaitable = inspect.isgenerator = None
sys.excepthook = None
socket.setdefaulttimeout and socket.setdefaulttimeout(0.001)
def handle(event): return {"a": event}
`)
	i.Want(t, `[1]`, `{"a":[1]}`)
	i.Want(t, `[1]`, `{"a":[1]}`)
}

func TestForksAndThreads(t *testing.T) {
	t.Parallel()
	i := function(t, `
import multiprocessing, os, signal, subprocess, sys, threading, time

def returns():
    pid = os.fork()
    if pid == 0: return "a child must not answer"
    return os.waitpid(pid, 0)[1]
def exits():
    pid = os.fork()
    if pid == 0: sys.exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if hasattr(os, "waitstatus_to_exitcode") else 3
def raises():
    pid = os.fork()
    if pid == 0: raise ValueError("in the child")
    return os.waitpid(pid, 0)[1] >> 8
def streams():
    pid = os.fork()
    for n in range(2): yield n
    if pid: os.waitpid(pid, 0)
def work(queue): queue.put(42)
def process():
    queue = multiprocessing.Queue()
    p = multiprocessing.Process(target=work, args=(queue,))
    p.start()
    result = queue.get()
    p.join()
    return [result, p.exitcode]
def run(): return subprocess.run(["echo", "x"], stdout=subprocess.PIPE).stdout.decode()
def thread():
    threading.Thread(target=time.sleep, args=(3600,)).start()
    return "not held up"
def alarm():
    def late(*_): raise TimeoutError("after the answer")
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
def handle(event): return globals()[event]()
`)
	i.Want(t, `"returns"`, `0`)
	i.Want(t, `"exits"`, `3`)
	i.Want(t, `"raises"`, `1`)
	meta, items := i.Stream(t, `"streams"`)
	if !meta.OK || len(items) != 2 {
		t.Errorf("a stream from two processes: %+v %q", meta, items)
	}
	i.Want(t, `"process"`, `[42,0]`)
	i.Want(t, `"run"`, `"x\n"`)
	i.Want(t, `"thread"`, `"not held up"`)
	i.Want(t, `"alarm"`, `null`)
	i.WantLog(t, "TimeoutError: after the answer")
	i.Want(t, `"run"`, `"x\n"`)
}

func TestAsync(t *testing.T) {
	t.Parallel()
	i := function(t, `
import asyncio
async def background(): await asyncio.sleep(3600)
async def first():
    handle.loop, handle.task = asyncio.get_running_loop(), asyncio.ensure_future(background())
    return 1
async def second(): return handle.loop is asyncio.get_running_loop() and not handle.task.done()
async def closes():
    loop = asyncio.get_running_loop()
    loop.call_soon(loop.stop)
    await asyncio.sleep(3600)
async def fails(): raise ValueError("async")
async def exits(): raise SystemExit(4)
async def gather(): return await asyncio.gather(*(asyncio.sleep(0, n) for n in range(3)))
async def process():
    p = await asyncio.create_subprocess_exec("echo", "x", stdout=asyncio.subprocess.PIPE)
    return (await p.communicate())[0].decode()
def sync(): return asyncio.run(gather())
def handle(event): return globals()[event]()
`)
	i.Want(t, `"first"`, `1`)
	i.Want(t, `"second"`, `true`)
	i.WantError(t, `"fails"`, "ValueError", "async")
	i.WantError(t, `"exits"`, "Runtime.ExitError", "exit status 4")
	i.WantError(t, `"closes"`, "RuntimeError", "stopped before")
	i.Want(t, `"gather"`, `[0,1,2]`)
	i.Want(t, `"process"`, `"x\n"`)
	i.Want(t, `"sync"`, `[0,1,2]`)
	i.Want(t, `"gather"`, `[0,1,2]`)
}

// TestSiblingsDiffer forks two children as a zygote does, each PID 1 of a namespace of its own like their
// parent: what they draw must differ all the same.
func TestSiblingsDiffer(t *testing.T) {
	t.Parallel()
	testenv.RequireSandbox(t)
	dir := t.TempDir()
	i := &runtimetest.Instance{Code: dir}
	i.WriteFile(t, "bootstrap.py", bootstrapSource())
	i.WriteFile(t, "zygote.py", `
import ctypes, os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bootstrap
bootstrap.prepare()
import multiprocessing.process, random, secrets, ssl, tempfile, uuid
random.random(); tempfile.mktemp(); uuid.uuid4(); uuid.getnode()
def draw():
    return [ssl.RAND_bytes(8).hex(), random.random(), secrets.token_hex(), tempfile.mktemp(), str(uuid.uuid4()),
            os.urandom(8).hex(), bytes(multiprocessing.process.current_process().authkey).hex()]
libc = ctypes.CDLL(None, use_errno=True)
own = os.open("/proc/self/ns/pid", os.O_RDONLY)
for _ in range(2):
    assert libc.unshare(0x20000000) == 0, os.strerror(ctypes.get_errno())
    pid = os.fork()
    if pid == 0:
        assert os.getpid() == 1
        bootstrap.after_fork()
        print(*draw(), sep="\n", flush=True)
        os._exit(0)
    assert libc.setns(own, 0x20000000) == 0, os.strerror(ctypes.get_errno())
    assert os.waitpid(pid, 0)[1] == 0
`)
	out := runtimetest.Run(t, "unshare", "--pid", "--fork", testenv.RequirePython(t), filepath.Join(dir, "zygote.py"))
	lines := strings.Fields(out)
	if len(lines) != 14 {
		t.Fatalf("got %q", out)
	}
	for n := range 7 {
		if lines[n] == lines[n+7] {
			t.Errorf("both children drew %s as number %d", lines[n], n)
		}
	}
}

func TestMustHaveADescriptor(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bootstrap.py")
	if err := os.WriteFile(path, []byte(bootstrapSource()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := runFailing(t, testenv.RequirePython(t), path); !strings.Contains(out, "usage: bootstrap.py --fd N") {
		t.Errorf("got %q", out)
	}
}
