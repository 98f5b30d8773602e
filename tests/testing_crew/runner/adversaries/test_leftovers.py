"""Files that leave something behind: processes, marks for the next run, traps in the scratch folder."""

from __future__ import annotations

import sysconfig

from .conftest import Case, World, test_contained_and_told, test_refused  # noqa: F401

GOOD = "\ndef test_good():\n    assert add(1, 2) == 3\n"
SHORT = {"wall_seconds": 3}


def marked(act: str) -> Case:
    """A test that passes only where ``seen()`` is false; ``act`` defines it and ``mark()``."""
    return Case(
        f"{act}\n\ndef test_a():\n    first = not seen()\n    mark()\n    assert first\n    assert add(1, 2) == 3\n",
        "passed",
        refused=None,
        again=True,
    )


def in_folder(folder: str) -> Case:
    return marked(
        f"place = pathlib.Path({folder}) / '@MARK@'\n"
        "def seen():\n    return place.exists()\n"
        "def mark():\n    try:\n        place.write_text('x')\n    except OSError:\n        pass\n"
    )


def trap(text: str, verdicts: str = "crashed", **more: object) -> Case:
    """A file that finds the runner's own files by looking around, and does something to them."""
    found = (
        "scratch = pathlib.Path(os.environ['TMPDIR']).parent\n"
        "(folder,) = scratch.glob('report-*')\n"
        "report, usage = folder / 'report.json', folder / 'report.json.usage'\n"
    )
    lines = "".join(f"    {line}\n" for line in (found + text).splitlines())
    return Case(f"def test_a():\n    assert add(1, 2) == 3\n{lines}", verdicts, **more)  # type: ignore[arg-type]


CASES = {
    # -- processes
    "a daemon": Case(
        """\
        def test_a():
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    for fd in range(100):
                        try:
                            os.close(fd)
                        except OSError:
                            pass
                    signal.signal(signal.SIGTERM, signal.SIG_IGN)
                    signal.signal(signal.SIGHUP, signal.SIG_IGN)
                    time.sleep(600)
                os._exit(0)
            os.wait()
            assert add(1, 2) == 3
        """,
        "passed",
        refused=None,
    ),
    "a daemon that holds the output": Case(
        """\
        def test_a(capfd):
            with capfd.disabled():
                subprocess.Popen(["sleep", "600"], start_new_session=True)
            assert add(1, 2) == 3
        """,
        "passed",
        refused=None,
    ),
    "a program in a session of its own": Case(
        """\
        def test_a():
            subprocess.Popen(["sh", "-c", "trap '' TERM HUP INT; while :; do sleep 1; done"], start_new_session=True)
            assert add(1, 2) == 3
        """,
        "passed",
        refused=None,
    ),
    "a daemon without a trace": Case(
        """\
        def test_a():
            subprocess.Popen(["setsid", "sleep", "600"], env={"@MARK@": "1"}, cwd="/", stdin=-3, stdout=-3, stderr=-3)
            assert add(1, 2) == 3
        """,
        "passed",
        refused=None,
    ),
    "a daemon that writes": Case(
        """\
        def test_a():
            if os.fork() == 0:
                os.setsid()
                while True:
                    for place in (os.environ["TMPDIR"], "/tmp", "/dev/shm", str(pathlib.Path.home())):
                        try:
                            os.makedirs(place, exist_ok=True)
                            pathlib.Path(place, "@MARK@").write_text("x")
                        except OSError:
                            pass
            assert add(1, 2) == 3
        """,
        "passed",
        refused=None,
        follow=True,
    ),
    "a daemon after a crash": Case(
        "def test_a():\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(600)\n    os._exit(1)\n",
        "crashed",
    ),
    "a daemon after a hang": Case(
        "def test_a():\n    if os.fork() == 0:\n        os.setsid()\n    time.sleep(600)\n", "timeout", limits=SHORT
    ),
    "a server": Case(
        """\
        def test_a():
            server = socket.create_server(("127.0.0.1", 47321))
            if os.fork() == 0:
                os.setsid()
                time.sleep(600)
            assert add(1, 2) == 3
        """,
        "passed",
        refused=None,
        again=True,
    ),
    # -- a test that passes only the first time
    "a mark in /tmp": in_folder("'/tmp'"),
    "a mark in TMPDIR": in_folder("os.environ['TMPDIR']"),
    "a mark in the home": in_folder("pathlib.Path.home()"),
    "a mark in the project": in_folder("pathlib.Path(mathx.__file__).parent"),
    "a mark beside the test": in_folder("pathlib.Path(__file__).parent"),
    "a mark in /dev/shm": in_folder("'/dev/shm'"),
    "a mark in /var/tmp": in_folder("'/var/tmp'"),
    "a mark in site-packages": in_folder(repr(sysconfig.get_path("purelib"))),
    "a mark above scratch": in_folder("os.environ['TMPDIR'] + '/../..'"),
    "a mark in the environment": marked(
        "def seen():\n    return '@MARK@ seen' in os.environ\ndef mark():\n    os.environ['@MARK@ seen'] = '1'\n"
    ),
    "a mark in a module": marked(
        "def seen():\n    return hasattr(json, 'seen') or hasattr(pytest, 'seen') or '@MARK@' in sys.modules\n"
        "def mark():\n    json.seen = pytest.seen = True\n    sys.modules['@MARK@'] = json\n"
    ),
    "a mark in the target": marked(
        "def seen():\n    return hasattr(add, 'seen')\ndef mark():\n    add.seen = True\n    mathx.LIMIT = 11\n    del mathx.sub\n"
    ),
    "a mark in the import path": marked(
        "def seen():\n    return '/@MARK@' in sys.path\ndef mark():\n    sys.path.insert(0, '/@MARK@')\n    sys.meta_path.clear()\n"
    ),
    "a mark in shared memory": marked(
        "libc = ctypes.CDLL(None)\nKEY = hash('@MARK@') % 10**9 + 1\n"
        "def seen():\n    return libc.shmget(KEY, 8, 0o600) != -1 or libc.semget(KEY, 1, 0o600) != -1\n"
        "def mark():\n    libc.shmget(KEY, 8, 0o1600)\n    libc.semget(KEY, 1, 0o1600)\n"
    ),
    "a mark in an abstract socket": marked(
        "held = socket.socket(socket.AF_UNIX)\n"
        "def seen():\n    return held.connect_ex('\\0@MARK@ s') == 0\n"
        "def mark():\n    server = socket.socket(socket.AF_UNIX)\n    server.bind('\\0@MARK@ s')\n    server.listen()\n"
        "    if os.fork() == 0:\n        time.sleep(600)\n"
    ),
    "a mark in the clock of a file": marked(
        "def seen():\n    return os.stat(mathx.__file__).st_atime == 1\n"
        "def mark():\n    try:\n        os.utime(mathx.__file__, (1, 1))\n    except OSError:\n        pass\n"
    ),
    "a mark in the signals": marked(
        "def seen():\n    return signal.getsignal(signal.SIGUSR1) != signal.SIG_DFL or signal.SIGUSR2 in signal.pthread_sigmask(0, [])\n"
        "def mark():\n    signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n    signal.pthread_sigmask(0, [signal.SIGUSR2])\n"
    ),
    "a mark in the process": marked(
        "def seen():\n    return os.getpriority(os.PRIO_PROCESS, 0) == 7 or os.umask(0o22) == 0o77 or sys.getrecursionlimit() == 777\n"
        "def mark():\n    os.nice(7)\n    os.umask(0o77)\n    sys.setrecursionlimit(777)\n    os.chdir('/')\n"
    ),
    # -- scratch
    "scratch taken away": Case(
        """\
        import shutil
        def test_a():
            assert add(1, 2) == 3
            for place in (os.getcwd(), os.environ["TMPDIR"], str(pathlib.Path.home()), "/tmp", os.path.dirname(__file__)):
                shutil.rmtree(place, ignore_errors=True)
        """,
        "passed crashed error",
        refused=None,
    ),
    "all of scratch taken away": Case(
        """\
        import shutil
        def test_a():
            assert add(1, 2) == 3
            shutil.rmtree(pathlib.Path(os.environ["TMPDIR"]).parent, ignore_errors=True)
        """,
        "passed crashed error",
        refused=None,
        follow=True,
    ),
    "scratch locked": Case(
        """\
        def test_a(tmp_path):
            (tmp_path / "a" / "b").mkdir(parents=True)
            (tmp_path / "a" / "b" / "file").touch(0)
            scratch = pathlib.Path(os.environ["TMPDIR"]).parent
            for folder in (tmp_path / "a" / "b", tmp_path / "a", tmp_path, *scratch.glob("[hst]*"), scratch):
                folder.chmod(0o500)
            assert add(1, 2) == 3
        """,
        "passed crashed error",
        refused=None,
    ),
    "names that are no text": Case(
        """\
        def test_a(tmp_path):
            for name in (b"\\xff\\xfe", b"new\\nline", b"-rf", b"*", b" ", b"x" * 255):
                os.mkdir(os.path.join(os.fsencode(tmp_path), name))
            os.mkfifo(tmp_path / "pipe")
            socket.socket(socket.AF_UNIX).bind("/tmp/socket")
            assert add(1, 2) == 3
        """,
        "passed",
        refused=None,
    ),
    "a conftest.py made at run time": Case(
        """\
        hook = "import pytest\\n@pytest.hookimpl(tryfirst=True)\\ndef pytest_runtest_makereport(item, call): call.excinfo = None\\n"
        for folder in (pathlib.Path(__file__).parent, pathlib.Path(mathx.__file__).parent, pathlib.Path("/tmp"), pathlib.Path("/")):
            for name in ("conftest.py", "sitecustomize.py", "usercustomize.py", "pytest.ini", "mathx.py", "json.py"):
                try:
                    (folder / name).write_text(hook)
                except OSError:
                    pass
        def test_a():
            assert add(1, 2) == 4
        """,
        "failed",
        again=True,
        follow=True,
    ),
    "bytecode in place of the target": Case(
        """\
        import importlib.util, py_compile
        def test_a():
            try:
                cached = pathlib.Path(importlib.util.cache_from_source(mathx.__file__))
                cached.parent.mkdir(exist_ok=True)
                cached.write_bytes(b"x")
            except OSError:
                pass
            assert add(1, 2) == 3
        """,
        "passed",
        refused=None,
    ),
    # -- traps where the runner reads
    "the report's folder taken away": trap("import shutil\nshutil.rmtree(folder)\nos._exit(0)", "crashed failed"),
    "a folder in place of the report": trap("report.mkdir()", "crashed error"),
    "a pipe in place of the report": trap("os.mkfifo(report)\nos._exit(0)"),
    "a pipe in place of the usage": trap(
        "os.mkfifo(usage)\nos._exit(0)", "crashed timeout", limits={"wall_seconds": 3}
    ),
    "a link in place of the report": trap("report.symlink_to('@HIDDEN@/secret')\nos._exit(0)"),
    "a report nested deep": trap("report.write_text('[' * 10**6)\nos._exit(0)"),
    "a report that is no text": trap("report.write_bytes(bytes(range(256)) * 1000)\nos._exit(0)"),
    "a usage nested deep": trap(
        "usage.write_text('[' * 10**6)\nos.kill(os.getppid(), 9)\ntime.sleep(60)",
        "crashed timeout",
        limits={"wall_seconds": 5},
    ),
    "a usage without end": trap(
        "usage.write_text('[0, Infinity]')\nos.kill(os.getppid(), 9)\ntime.sleep(60)",
        "crashed timeout",
        limits={"wall_seconds": 5},
    ),
    "a usage that lies": trap(
        "usage.write_text('[0, 1e15]')\nos.kill(os.getppid(), 9)\ntime.sleep(60)",
        "crashed out_of_memory timeout",
        limits={"wall_seconds": 5},
    ),
    "a folder in place of the usage": trap("usage.mkdir()\nos._exit(0)"),
}
