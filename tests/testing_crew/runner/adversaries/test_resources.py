"""Files that take more than they are given: time, memory, disk, output, processes, depth."""

from __future__ import annotations

from .conftest import MIB, Case, World, test_contained_and_told, test_refused  # noqa: F401

SHORT = {"wall_seconds": 3}
FILE = "file size (8 MiB)"


def hit(word: str):  # type: ignore[no-untyped-def]
    """A check that the run says which limit it met."""
    return lambda world: any(limit.startswith(word) for limit in world.run.limits_hit)


def small_report(world: World) -> bool:
    return all(len(c.message) <= 2000 and len(c.actual or "") <= 2000 for c in world.run.cases)


CASES = {
    # -- time
    "infinite loop": Case(
        "def test_a():\n    while True:\n        pass\n", "timeout", limits=SHORT, checks=(hit("wall"),)
    ),
    "infinite loop at import": Case("while True:\n    pass\n", "timeout", limits=SHORT),
    "infinite loop in C": Case("def test_a():\n    sum(iter(int, 1))\n", "timeout", limits=SHORT),
    "endless regular expression": Case(
        "import re\ndef test_a():\n    re.match('(a+)+$', 'a' * 60 + 'b')\n", "timeout", limits=SHORT
    ),
    "endless integer": Case(
        "def test_a():\n    len(str(7 ** 10 ** 9))\n", "timeout out_of_memory failed", limits=SHORT
    ),
    "sleep": Case("def test_a():\n    time.sleep(600)\n", "timeout", limits=SHORT),
    "sleep in a fixture's end": Case(
        """\
        @pytest.fixture
        def slow():
            yield
            time.sleep(600)
        def test_a(slow):
            assert add(1, 2) == 3
        """,
        "timeout",
        limits=SHORT,
    ),
    "processor time": Case(
        "def test_a():\n    while add(1, 1):\n        pass\n",
        "timeout",
        limits={"cpu_seconds": 1},
        checks=(hit("CPU"),),
    ),
    "processor time with a deaf ear": Case(
        """\
        signal.signal(signal.SIGXCPU, lambda *_: None)
        def test_a():
            while add(1, 1):
                pass
        """,
        "timeout",
        limits={"cpu_seconds": 1},
        checks=(hit("CPU"),),
    ),
    "a deaf ear to SIGTERM": Case(
        """\
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        def test_a():
            while True:
                time.sleep(1)
        """,
        "timeout",
        limits=SHORT,
    ),
    "a thread that never ends": Case(
        """\
        def test_a():
            threading.Thread(target=time.sleep, args=(600,)).start()
            assert add(1, 2) == 3
        """,
        "timeout",
        limits=SHORT,
    ),
    "a daemon thread that never ends": Case(
        """\
        def spin():
            while True:
                time.sleep(0.01)
        def test_a():
            threading.Thread(target=spin, daemon=True).start()
            assert add(1, 2) == 3
        """,
        "passed",
        refused=None,
    ),
    "a repr that hangs": Case(
        """\
        class Slow:
            def __repr__(self):
                time.sleep(600)
        def test_a():
            assert add([], [Slow()]) == 3
        """,
        "timeout",
        limits=SHORT,
    ),
    "an equality that hangs": Case(
        """\
        class Slow:
            def __eq__(self, other):
                time.sleep(600)
        def test_a():
            assert add(1, 2) == Slow()
        """,
        "timeout",
        limits=SHORT,
    ),
    "an error whose text hangs": Case(
        """\
        class Slow(Exception):
            def __str__(self):
                time.sleep(600)
        def test_a():
            raise Slow
        """,
        "timeout",
        limits=SHORT,
    ),
    # -- processes
    "fork bomb": Case(
        """\
        def test_a():
            for _ in range(9):  # 512 at most
                try:
                    os.fork()
                except OSError:
                    pass
            time.sleep(60)
        """,
        "timeout crashed",
        limits={"wall_seconds": 6},
        follow=True,
    ),
    "fork bomb through programs": Case(
        """\
        def test_a():
            held = [subprocess.Popen(["sleep", "600"], start_new_session=True) for _ in range(200)]
            assert add(1, 2) == 3
        """,
        "passed failed crashed",
        refused=None,
    ),
    "hundreds of threads": Case(
        """\
        def test_a():
            for _ in range(500):
                threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
            assert add(1, 2) == 3
        """,
        "passed failed out_of_memory",
        refused=None,
    ),
    # -- memory
    "memory bomb": Case(
        "def test_a():\n    held = [bytearray(10**7) for _ in range(300)]\n", "out_of_memory", checks=(hit("memory"),)
    ),
    "memory bomb at import": Case("held = [bytearray(10**7) for _ in range(300)]\n", "out_of_memory error"),
    "memory at one blow": Case("def test_a():\n    bytearray(3 * 10**9)\n", "out_of_memory"),
    "memory in files without a name": Case(
        """\
        def test_a():
            held = [os.memfd_create("x") for _ in range(100)]
            for one in held:
                os.write(one, bytes(6 * 2**20))
            assert add(1, 2) == 3
        """,
        "failed",
    ),
    "memory that System V shares": Case(
        """\
        def test_a():
            libc = ctypes.CDLL(None)
            assert all(libc.shmget(0, 60 * 2**20, 0o1600) >= 0 for _ in range(20))
            assert add(1, 2) == 3
        """,
        "failed",
    ),
    "memory in a child": Case(
        """\
        def test_a():
            bomb = "held = [bytearray(10**7) for _ in range(300)]"
            assert subprocess.run([sys.executable, "-c", bomb], capture_output=True).returncode == add(0, 0)
        """,
        "failed out_of_memory",  # the child alone, or all of the run together, whichever is seen first
    ),
    "memory after raising the limit": Case(
        """\
        import resource
        def test_a():
            for soft in (resource.RLIM_INFINITY, 3 * 2**30):
                try:
                    resource.setrlimit(resource.RLIMIT_AS, (soft, soft))
                except (OSError, ValueError):
                    pass
            held = [bytearray(10**7) for _ in range(300)]
        """,
        "out_of_memory",
    ),
    "memory as files in /dev/shm": Case(
        """\
        def test_a():
            try:
                for number in range(160):  # 1.1 GB
                    pathlib.Path(f"/dev/shm/{number}").write_bytes(b"x" * 7 * 2**20)
            except OSError:
                pass
            assert add(1, 2) == 3
        """,
        "passed",
        refused=None,
    ),
    # -- output
    "a gigabyte of output": Case(
        """\
        def test_a(capfd):
            with capfd.disabled():
                for _ in range(1000):
                    os.write(1, b"x" * 2**20)
            assert add(1, 2) == 3
        """,
        "passed",
        refused=None,
        checks=(hit("output"),),
    ),
    "a gigabyte of captured output": Case(
        "def test_a():\n    for _ in range(1000):\n        os.write(1, b'x' * 2**20)\n", "failed", checks=(hit(FILE),)
    ),
    "endless output": Case(
        "def test_a(capfd):\n    with capfd.disabled():\n        while True:\n            os.write(2, b'y\\n' * 9)\n",
        "timeout",
        limits={"cpu_seconds": 3},  # a busy machine may take all of a short wall time for the start of the interpreter
        checks=(hit("output"),),
    ),
    "a huge difference": Case(
        "def test_a():\n    assert add(list(range(10**5)), []) == list(range(1, 10**5))\n",
        "failed timeout out_of_memory",
        limits={"wall_seconds": 8},
        checks=(small_report,),
    ),
    "a huge message": Case(
        "def test_a():\n    raise ValueError(add('x', 'y') * 10**6)\n", "failed", checks=(small_report,)
    ),
    "a report that is too long": Case(
        """\
        @pytest.mark.parametrize("text", ["x" * 20_000 + str(n) for n in range(500)])
        def test_a(text):
            assert add(text, "") == text
        """,
        "passed",
        refused=None,
    ),
    # -- disk
    "a file of ten gigabytes": Case(
        """\
        def test_a(tmp_path):
            with open(tmp_path / "big", "wb") as file:
                for _ in range(10_000):
                    file.write(b"x" * 2**20)
        """,
        "failed",
        checks=(hit(FILE),),
    ),
    "a file of ten gigabytes, all hole": Case(
        "def test_a(tmp_path):\n    (tmp_path / 'big').touch()\n    os.truncate(tmp_path / 'big', 10 * 2**30)\n",
        "failed",
        checks=(hit(FILE),),
    ),
    "many files": Case(
        """\
        def test_a(tmp_path):
            for n in range(5000):
                (tmp_path / f"@MARK@{n}").touch()
            assert add(1, 2) == 3
        """,
        "passed",
        refused=None,
    ),
    "a thousand folders deep": Case(
        """\
        def test_a(tmp_path):
            os.chdir(tmp_path)
            for n in range(1000):
                os.mkdir("@MARK@")
                os.chdir("@MARK@")
            pathlib.Path("file").touch()
            os.chmod(".", 0)
            assert add(1, 2) == 3
        """,
        "passed failed error",
        refused=None,
    ),
    # -- depth
    "deep recursion": Case("def deep():\n    deep()\ndef test_a():\n    deep()\n", "failed"),
    "bottomless recursion": Case(
        """\
        class Deep:
            def __getattr__(self, name):
                return getattr(self, name + "x")
        def test_a():
            sys.setrecursionlimit(10**8)
            repr(Deep().x)
        """,
        "crashed out_of_memory failed timeout",
        limits={"wall_seconds": 8},
    ),
    "a text nested too deep": Case(
        "def test_a():\n    assert " + "(" * 150 + "add(1, 2)" + ")" * 150 + " == 3\n", "passed error", refused=None
    ),
    "five megabytes of comment": Case(
        "# " + "x" * 5 * MIB + "\ndef test_a():\n    assert add(1, 2) == 3\n", "passed", refused=None
    ),
    "megabytes of code": Case(
        "value = 1\n" * (2 * MIB // 10),
        "no_tests out_of_memory timeout error crashed",
        limits={"wall_seconds": 8},
        checks=(lambda world: not world.accepted,),
    ),
}
