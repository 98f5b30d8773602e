"""Files that end, or do not end, as a test file should: exits, signals, crashes, broken texts, broken streams."""

from __future__ import annotations

from .conftest import Case, World, test_contained_and_told, test_refused  # noqa: F401

GOOD = "def test_good():\n    assert add(1, 2) == 3\n"
SHORT = {"wall_seconds": 3}


def body(text: str, verdicts: str, **more: object) -> Case:
    """A good test, and one with ``text`` as its body."""
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    return Case(f"{GOOD}def test_bad(request):\n{lines}", verdicts, **more)  # type: ignore[arg-type]


CASES = {
    # -- exits
    "os._exit(0)": body("os._exit(0)", "crashed", follow=True),
    "os._exit(0) at import": Case("os._exit(0)\n", "crashed"),
    "os._exit(0) in a fixture's end": Case(
        """\
        @pytest.fixture(scope="session")
        def last():
            yield
            os._exit(0)
        def test_a(last):
            assert add(1, 2) == 3
        """,
        "crashed",
    ),
    "os._exit(1) after a failure": Case(
        "def test_a():\n    assert add(1, 2) == 4\ndef test_b():\n    os._exit(1)\n", "crashed"
    ),
    "os._exit in a thread": body("threading.Thread(target=os._exit, args=(0,)).start()\ntime.sleep(60)", "crashed"),
    "sys.exit": body("sys.exit(0)", "failed"),
    "sys.exit at import": Case("sys.exit(0)\n" + GOOD, "error"),
    "pytest.exit": body("pytest.exit('enough', returncode=0)", "crashed"),
    "pytest.exit at import": Case("pytest.exit('enough', returncode=0)\n" + GOOD, "crashed error"),
    "another program": body("os.execv('/bin/true', ['true'])", "crashed"),
    "another program at import": Case("os.execv('/bin/sh', ['sh', '-c', 'echo 1 passed'])\n" + GOOD, "crashed"),
    "an exit at exit": Case(
        "import atexit\natexit.register(os._exit, 0)\ndef test_a():\n    assert add(1, 2) == 4\n", "crashed"
    ),
    "a hang at exit": Case("import atexit\natexit.register(time.sleep, 600)\n" + GOOD, "timeout", limits=SHORT),
    "words at exit": Case("import atexit\natexit.register(print, '1 failed')\n" + GOOD, "passed", refused=None),
    "an error at exit": Case("import atexit\natexit.register(lambda: 1 / 0)\n" + GOOD, "passed crashed", refused=None),
    "a kill at exit": Case("import atexit\natexit.register(os.kill, os.getpid(), 9)\n" + GOOD, "crashed"),
    # -- what is raised
    "SystemExit": body("raise SystemExit(0)", "failed"),
    "KeyboardInterrupt": body("raise KeyboardInterrupt", "crashed error"),
    "BaseException": body("raise BaseException('x')", "failed"),
    "GeneratorExit": body("raise GeneratorExit", "failed"),
    "an error without a text": body(
        "class E(Exception):\n    def __str__(self):\n        raise SystemExit(0)\nraise E", "failed error crashed"
    ),
    "a repr that exits": body(
        "class R:\n    def __repr__(self):\n        os._exit(0)\nassert add([], [R()]) == 3", "crashed"
    ),
    "a repr that raises BaseException": body(
        "class R:\n    def __repr__(self):\n        raise BaseException\nassert add([], [R()]) == 3",
        "failed error crashed",
    ),
    "a repr that is no text": body("class R:\n    __repr__ = 3\nassert add([], [R()]) == 3", "failed"),
    "a hash that raises": body(
        "class H:\n    def __hash__(self):\n        raise KeyError\nassert {add([H()], [])[0]}", "failed"
    ),
    "an equality that raises": body(
        "class E:\n    def __eq__(self, other):\n        raise SystemExit(0)\nassert add(1, 2) == E()", "failed"
    ),
    "a class that lies about itself": body(
        "class L:\n    @property\n    def __class__(self):\n        raise RuntimeError\nassert add([L()], []) == 3",
        "failed error crashed",
    ),
    "a session told to stop": body("request.session.shouldstop = 'enough'", "crashed error"),
    "a session told to fail": body("request.session.shouldfail = 'enough'", "crashed error failed"),
    # -- signals
    "SIGKILL": body("os.kill(os.getpid(), 9)", "crashed"),
    "SIGTERM": body("os.kill(os.getpid(), signal.SIGTERM)", "crashed"),
    "SIGINT": body("os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(5)", "crashed error"),
    "SIGALRM": body("signal.setitimer(signal.ITIMER_REAL, 0.1)\ntime.sleep(60)", "crashed"),
    "SIGALRM after the end": Case(
        "import atexit\nsignal.alarm(1)\natexit.register(time.sleep, 30)\n" + GOOD, "crashed"
    ),
    "SIGXCPU": body(
        "os.kill(os.getpid(), signal.SIGXCPU)",
        "crashed",
    ),
    "SIGSTOP": body("os.kill(os.getpid(), signal.SIGSTOP)", "timeout", limits=SHORT),
    "the parent stopped": body(
        "os.kill(os.getppid(), signal.SIGSTOP)", "timeout crashed passed", refused=None, limits=SHORT
    ),
    "the parent killed": body("os.kill(os.getppid(), 9)\ntime.sleep(60)", "crashed timeout", limits=SHORT),
    "the parent ended": body("os.kill(os.getppid(), signal.SIGTERM)\ntime.sleep(60)", "crashed timeout", limits=SHORT),
    "the group killed": body("os.killpg(0, 9)\ntime.sleep(60)", "crashed"),
    "all killed": body(
        "assert sum(name.isdigit() for name in os.listdir('/proc')) < 20  # not on the host\nos.kill(-1, 9)\ntime.sleep(60)",
        "crashed failed",
        follow=True,
    ),
    "the first process killed": body("os.kill(1, 9)\ntime.sleep(60)", "crashed timeout failed", limits=SHORT),
    # -- crashes
    "segmentation fault": body("ctypes.string_at(0)", "crashed"),
    "abort": body("os.abort()", "crashed"),
    "abort with faulthandler": body("import faulthandler\nfaulthandler.enable()\nfaulthandler._sigsegv()", "crashed"),
    "a trace later on": Case(
        "import faulthandler\nfaulthandler.dump_traceback_later(0.01, exit=True)\ntime.sleep(9)\n" + GOOD, "crashed"
    ),
    "interpreter state broken": body(
        "ctypes.memset(id(None), 0, 16)\nx = [None] * 9999", "crashed failed error timeout", limits=SHORT
    ),
    # -- texts
    "zero bytes": Case("", "no_tests", raw=True),
    "a null byte": Case("from mathx import add\nx = '\0'\n" + GOOD, "error", raw=True),
    "a byte order mark": Case("\ufefffrom mathx import add\n" + GOOD, "passed", raw=True, refused=None),
    "another encoding": Case("# coding: utf-16\nfrom mathx import add\n" + GOOD, "error", raw=True),
    "an unknown encoding": Case("# coding: nonsense\nfrom mathx import add\n" + GOOD, "error", raw=True),
    "an encoding that hides a line": Case(
        "# coding: unicode_escape\nfrom mathx import add\n# \\u000adef add(a, b): return 4\ndef test_a():\n    assert add(1, 2) == 4\n",
        "passed error failed",
        raw=True,
    ),
    "a lone surrogate": Case("from mathx import add\nx = '\ud800'\n" + GOOD, "error", raw=True),
    "carriage returns": Case("from mathx import add\r\rdef test_a():\r    assert add(1, 2) == 4\r", "failed", raw=True),
    "a form feed and a nonbreaking space": Case(
        "from mathx import add\n\f\ndef test_a():\n\xa0\xa0assert True\n", "error", raw=True
    ),
    "unfinished": Case("def test_a(:\n    assert add(", "error"),
    # -- streams and descriptors
    "invalid UTF-8 in the output": body(
        "with request.getfixturevalue('capfd').disabled():\n    os.write(1, bytes(range(128, 256)) + b'\\x1b[31m\\x00')",
        "passed",
        refused=None,
    ),
    "a surrogate in a value": body("assert add('\\ud800', '\\x00') == '\\x1b[31m'", "failed"),
    "a surrogate in a name": Case(
        "@pytest.mark.parametrize('x', [1], ids=['\\ud800'])\ndef test_a(x):\n    assert add(1, x) == 2\n",
        "passed",
        refused=None,
    ),
    "no time": body(
        "import _pytest.timing\n_pytest.timing.time = _pytest.timing.perf_counter = lambda: float('nan')\n"
        "time.time = time.perf_counter = lambda: float('nan')",
        "passed crashed error failed",
        refused=None,
    ),
    "descriptors closed": body("os.closerange(0, 21)", "crashed error failed"),
    "all descriptors closed": body("os.closerange(0, 9999)", "crashed error failed"),
    "output closed": body(
        "os.close(1)\nos.close(2)\nsys.stdout.close()\nsys.stderr.close()", "crashed error failed passed", refused=None
    ),
    "another output": body("os.dup2(os.open('/dev/null', os.O_WRONLY), 1)\nprint('1 failed')", "passed", refused=None),
    "no output at all": body(
        "sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None", "passed crashed error failed", refused=None
    ),
    "every descriptor written to": body(
        "for fd in range(3, 200):\n"
        "    try:\n"
        "        os.set_blocking(fd, False)\n"
        '        os.write(fd, b\'{"verdict": "passed"}\\n\\x00\' * 9)\n'
        "    except OSError:\n"
        "        pass\n"
        "assert add(1, 2) == 4",
        "failed error crashed",
    ),
    "every descriptor of the others": body(
        "for pid in {1, os.getppid()}:\n"
        "    for fd in os.listdir(f'/proc/{pid}/fd'):\n"
        "        try:\n"
        "            held = os.open(f'/proc/{pid}/fd/{fd}', os.O_RDWR | os.O_NONBLOCK)\n"
        '            os.write(held, b\'{"verdict": "passed"}\\n\\x00\' * 9)\n'
        "        except OSError:\n"
        "            pass\n"
        "assert add(1, 2) == 4",
        "failed error crashed",
    ),
    # -- limits and settings of the process
    "no files any more": body(
        "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))", "crashed error failed"
    ),
    "no descriptors any more": body(
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))",
        "crashed error failed passed",
        refused=None,
    ),
    "no memory any more": body(
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**20, 2**20))\nx = bytearray(10**8)",
        "failed error crashed out_of_memory",
    ),
    "no time any more": body(
        "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True:\n    pass", "timeout crashed"
    ),
    "warnings as errors": Case("import warnings\nwarnings.simplefilter('error')\nimport imp_gone\n" + GOOD, "error"),
    "a warning that is an error": body("import warnings\nwarnings.simplefilter('error')\nwarnings.warn('x')", "failed"),
    "garbage not collected": body("gc.disable()\ngc.freeze()\ngc.set_threshold(0)", "passed", refused=None),
    "garbage that raises": body(
        "class G:\n    def __del__(self):\n        raise SystemExit(0)\nG()", "passed failed", refused=None
    ),
    "python -c": body(
        "assert subprocess.run([sys.executable, '-c', 'import mathx; print(mathx.add(1, 2))'], capture_output=True).stdout == b'3\\n'",
        "passed",
        refused=None,
    ),
}
