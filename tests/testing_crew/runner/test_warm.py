"""What is special about runs that are forked from a prepared process."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testing_crew.runner import sandbox, warm
from testing_crew.runner.plan import Variation, plan_file, plan_text
from testing_crew.runner.run import Limits, Runner
from trace_logger.records import PytestRun

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="warm runs need Linux")
IMPORT = "import os, sys, pytest\nfrom pathlib import Path\nfrom mathx import add\n"
GOOD = IMPORT + "def test_good():\n    assert add(1, 2) == 3\n"
MIXED = IMPORT + textwrap.dedent(
    """
    @pytest.mark.parametrize(("a", "b", "expected"), [(1, 2, 3), (1, 1, 3)])
    def test_add(a, b, expected, capsys, tmp_path):
        print("said")
        assert capsys.readouterr().out == "said\\n"
        assert add(a, b) == expected

    @pytest.mark.skip(reason="later")
    def test_later():
        assert add(1, 1) == 2

    def test_raises():
        with pytest.raises(ValueError):
            add(1, 1)
    """
)


@pytest.fixture(scope="module")
def ready() -> object:
    with Runner(Limits(wall_seconds=60), workers=2) as runner:
        yield runner


def _told(run: PytestRun) -> dict[str, object]:
    cases = [case.model_dump(exclude={"duration"}) for case in run.cases]
    return {**run.model_dump(exclude={"duration", "log", "sandbox", "warm", "cases"}), "cases": cases}


def test_a_warm_run_tells_what_a_cold_one_tells(project: Project, ready: Runner) -> None:
    for tests in (GOOD, MIXED, "import nothing_like_it\n", "def test_a(:\n", ""):
        plan = plan_text(project.code(), tests)
        hot, cold = ready.execute(plan).run, ready.execute_cold(plan).run
        assert (hot.warm, cold.warm) == (True, False), hot.sandbox
        assert _told(hot) == _told(cold)


def test_the_target_is_imported_anew_by_every_run(project: Project, ready: Runner) -> None:
    for expected in (3, 103):
        run = ready.run(project.code(), GOOD.replace("== 3", f"== {expected}"))
        assert (run.verdict, run.warm) == ("passed", True)
        project.write("mathx.py", "def add(a, b):\n    return a + b + 100\n")


@pytest.mark.parametrize("name", ["difflib.py", "sitecustomize.py", "code/__init__.py"])
def test_a_module_that_pytest_has_already_makes_the_run_cold(project: Project, ready: Runner, name: str) -> None:
    project.write(name, "MINE = 1\n")
    run = ready.run(project.code(), GOOD)
    assert not run.warm
    assert "run cold: " + name.partition("/")[0].partition(".")[0] in run.sandbox


def test_a_pytest_that_was_not_tried_makes_the_run_cold(
    project: Project, ready: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "TESTED_PYTEST", ((1, 0), (2, 0)))
    run = ready.run(project.code(), GOOD)
    assert (run.verdict, run.warm) == ("passed", False)
    assert "run cold: warm runs were not tried with pytest" in run.sandbox


def test_a_zygote_that_cannot_be_had_makes_the_run_cold(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        warm, "_SAMPLE", warm._SAMPLE.replace("(4, 2)", "(4, 3)")
    )  # as if this pytest told it otherwise
    with Runner(Limits(wall_seconds=60)) as runner:
        for _ in range(2):
            run = runner.run(project.code(), GOOD)
            assert (run.verdict, run.warm) == ("passed", False)
            assert "a sample did not run as it must" in run.sandbox


def test_a_persons_conftest_is_loaded_as_pytest_loads_it(project: Project, ready: Runner) -> None:
    project.write(
        "conftest.py",
        """\
        import pytest
        pytest_plugins = ["helpers"]
        def pytest_addoption(parser):
            parser.addoption("--depth", default="7")
        @pytest.fixture
        def depth(request):
            return int(request.config.getoption("--depth"))
        """,
    )
    project.write("helpers.py", "import pytest\n@pytest.fixture\ndef three():\n    return 3\n")
    project.write("pytest.ini", "[pytest]\npython_functions = check_*\n")
    text = IMPORT + "def check_a(three, depth):\n    assert add(three, 4) == depth\n"
    test = project.write("tests/test_own.py", text)
    for _ in range(2):
        run = ready.check(test, project.code())
        assert (run.verdict, run.warm, run.count("passed")) == ("passed", True, 1), run.log


def test_variations(project: Project, ready: Runner) -> None:
    tests = IMPORT + "".join(f"def test_{n}():\n    assert add({n}, 0) == {n}\n" for n in range(12))
    tests += "class TestMore:\n    def test_a(self):\n        pass\n    def test_b(self):\n        pass\n"
    plan = plan_text(project.code(), tests)
    for run_one in (ready.execute, ready.execute_cold):

        def order(run_one=run_one, **more: object) -> list[str]:  # type: ignore[no-untyped-def]
            run = run_one(plan, Variation(measure=False, **more)).run
            assert run.verdict == "passed", run.log
            return [case.node for case in run.cases]

        natural = order()
        shuffled = order(shuffle=3)
        assert shuffled != natural
        assert sorted(shuffled) == sorted(natural)
        assert shuffled == order(shuffle=3)
        places = [place for place, node in enumerate(shuffled) if node.startswith("TestMore")]
        assert places[1] == places[0] + 1
        assert order(only=frozenset(["test_3", "TestMore::test_b"])) == ["test_3", "TestMore::test_b"]
        seed = IMPORT + "def test_a():\n    assert os.environ['PYTHONHASHSEED'] == '77'\n    assert hash('a') == %s\n"
        expected = os.popen(f"PYTHONHASHSEED=77 {sys.executable} -c \"print(hash('a'))\"").read()
        seeded = plan_text(project.code(), seed % expected.strip())
        assert run_one(seeded, Variation(hash_seed=77)).run.verdict == "passed"
        mutant = run_one(
            plan, Variation(measure=False, source="def add(a, b):\n    return a + b + (a == 2)\n", stop_first=True)
        )
        assert mutant.run.verdict == "failed"
        assert [(case.node, case.outcome, case.claim) for case in mutant.run.cases][-1] == ("test_2", "failed", True)
        assert mutant.mutant is not None
        assert mutant.mutant.loaded


def test_what_ran_which_line(project: Project, ready: Runner) -> None:
    tests = (
        IMPORT
        + "from mathx import div\ndef test_a():\n    assert add(1, 2) == 3\ndef test_b():\n    assert div(4, 2) == 2\n"
    )
    plan = plan_text(project.code(unit=None), tests)
    reached = ready.execute(plan).reached
    source = (project.root / "mathx.py").read_text().splitlines()
    assert reached[source.index("    return a + b") + 1] == {"test_a"}
    assert reached[source.index("    return a / b") + 1] == {"test_b"}
    assert reached[source.index("LIMIT = 10") + 1] == {""}
    assert source.index('        raise ValueError("division by zero")') + 1 not in reached


def test_many_threads_share_a_runner(project: Project, ready: Runner) -> None:
    plans = [plan_text(project.code(), GOOD.replace("== 3", f"== {n}")) for n in (3, 4)] * 10
    with ThreadPoolExecutor(6) as pool:
        verdicts = [execution.run.verdict for execution in pool.map(ready.execute, plans)]
    assert verdicts == ["passed", "failed"] * 10


SPOILS = IMPORT + textwrap.dedent(
    """
    import builtins, tempfile
    PLACES = [Path.cwd(), Path.home(), Path(tempfile.gettempdir()), Path("/tmp"), Path("/dev/shm"), Path("/dev"),
              Path.home().parent, Path.home().parent.parent, Path(sys.prefix)]

    def test_nothing_of_an_earlier_run_is_left():
        assert not hasattr(builtins, "spoilt")
        builtins.spoilt = True
        for place in PLACES:
            mark = place / "tcrew-spoilt"
            assert not mark.exists(), mark
            try:
                mark.write_text("x")
            except OSError:
                continue
        assert add(1, 2) == 3
    """
)


@pytest.fixture(params=["nested", "shared"])
def nested(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without namespaces of each run's own inside the sandbox."""
    if request.param == "shared":
        monkeypatch.setattr(sandbox, "nests", lambda _: False)


@pytest.mark.parametrize("kind", [kind for kind in sandbox.available() if kind != "limits"])
def test_one_run_does_not_spoil_the_next(project: Project, kind: sandbox.Kind, nested: None) -> None:
    with Runner(Limits(wall_seconds=60), sandbox=kind, workers=1) as runner:
        for _ in range(3):
            run = runner.run(project.code(), SPOILS)
            assert (run.verdict, run.warm) == ("passed", True), run.log
    assert not (project.root / "tcrew-spoilt").exists()


OWN_FOLDERS = IMPORT + textwrap.dedent(
    """
    import tempfile

    def test_a(tmp_path):
        for place in (Path.home(), Path(tempfile.gettempdir()), tmp_path):
            (place / "mine").write_text("x")
            assert str(place).startswith(str(Path.home().parent)), place
        assert add(1, 2) == 3
    """
)


@pytest.mark.parametrize("kind", sandbox.available())
def test_every_run_has_folders_of_its_own(project: Project, kind: sandbox.Kind, nested: None) -> None:
    with Runner(Limits(wall_seconds=60), sandbox=kind, workers=1) as runner:
        for _ in range(2):
            run = runner.run(project.code(), OWN_FOLDERS)
            assert (run.verdict, run.warm) == ("passed", True), run.log


def test_a_port_that_a_run_has_used_is_free_for_the_next(project: Project) -> None:
    uses = IMPORT + textwrap.dedent(
        """
        import socket

        def test_a():
            server = socket.create_server(("127.0.0.1", 5123), reuse_port=False)
            with server, socket.socket() as bare:
                bare.bind(("127.0.0.1", 5124))
                bare.listen()
                client = socket.create_connection(("127.0.0.1", 5124))
                accepted, _ = bare.accept()
                accepted.close()  # the side that closes first keeps the port for a minute
                assert client.recv(1) == b""
                client.close()
            assert add(1, 2) == 3
        """
    )
    with Runner(Limits(wall_seconds=60), workers=1) as runner:
        if not runner.run(project.code(), GOOD).sandbox.startswith(("bubblewrap", "user")):
            pytest.skip("no network of its own here")
        for _ in range(3):
            run = runner.run(project.code(), uses)
            assert (run.verdict, run.warm) == ("passed", True), run.log


def test_a_run_that_could_not_be_set_up_is_no_verdict(project: Project) -> None:
    with Runner(Limits(wall_seconds=60, disk_bytes=2**20), workers=1) as runner:
        plan = plan_text(project.code(), GOOD, {"data.txt": "x" * 3 * 2**20})
        run = runner.execute(plan).run
    assert run.verdict == "passed", run.log
    assert run.warm or "could not be set up" in run.sandbox


def test_a_daemon_does_not_outlive_the_prepared_process_that_its_run_killed(project: Project) -> None:
    killer = IMPORT + textwrap.dedent(
        """
        import subprocess

        def test_a():
            subprocess.Popen(["sleep", "61.25"], start_new_session=True)
            os.kill(os.getppid(), 9)
            import time; time.sleep(60)
        """
    )
    with Runner(Limits(wall_seconds=60), sandbox="limits", workers=1) as runner:
        assert runner.run(project.code(), killer).verdict == "crashed"
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert b"sleep\x0061.25\x00" not in commands


def test_a_run_that_takes_the_prepared_process_along_costs_no_later_run(project: Project) -> None:
    killer = IMPORT + "def test_a():\n    add(1, 2)\n    os.kill(os.getppid(), 9)\n    import time; time.sleep(60)\n"
    with Runner(Limits(wall_seconds=60), sandbox="limits", workers=1) as runner:
        assert runner.run(project.code(), killer).verdict == "crashed"
        run = runner.run(project.code(), GOOD)
        assert (run.verdict, run.warm) == ("passed", True), run.sandbox


@pytest.mark.parametrize("which", range(4))
def test_prepared_processes_that_die_cost_no_run(project: Project, which: int) -> None:
    with Runner(Limits(wall_seconds=60), workers=1) as runner:
        for _ in range(2):
            assert runner.run(project.code(), GOOD).warm
            if len(prepared := _prepared(os.getpid())) > which:
                os.kill(prepared[which], signal.SIGKILL)
            run = runner.run(project.code(), GOOD)
            assert run.verdict == "passed", run.log


def _prepared(pid: int) -> list[int]:
    """The processes below ``pid`` that runs come from (the sandbox, what forks, what makes rooms), the oldest first."""
    return sorted(n for n in _below(pid) if _command(n).count(b"_testing_crew_zygote.py"))


def _below(pid: int) -> list[int]:
    children: list[int] = []
    for task in Path("/proc").glob(f"{pid}/task/*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            children += map(int, (task / "children").read_text().split())
    return [found for child in children for found in (child, *_below(child))]


def _command(pid: int) -> bytes:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


TOGETHER = {
    "processes": "held = [subprocess.Popen(['sleep', '50']) for _ in range(60)]; time.sleep(20)",
    "memory": "held = [subprocess.Popen([sys.executable, '-c', FILL]) for _ in range(4)]; time.sleep(20)",
    "disk": "for n in range(9): (tmp_path / str(n)).write_bytes(bytes(20_000_000))",
}


@pytest.mark.skipif(not any(map(sandbox.nests, sandbox.KINDS)), reason="no namespaces of a run's own here")
@pytest.mark.parametrize("limit", TOGETHER)
def test_limits_hold_for_all_processes_together(project: Project, limit: str) -> None:
    text = IMPORT + "import subprocess, time\nFILL = 'import time; held = bytearray(90_000_000); time.sleep(50)'\n"
    text += f"def test_a(tmp_path):\n    add(1, 2)\n    {TOGETHER[limit]}\n"
    limits = Limits(wall_seconds=60, memory_bytes=256 * 2**20, processes=20, disk_bytes=100 * 2**20)
    with Runner(limits, workers=1) as runner:
        run = runner.run(project.code(), text)
    # A user other than root meets the kernel's own limit first, which the test sees as an error.
    assert run.verdict in {"processes": ("crashed", "failed"), "memory": ("out_of_memory",), "disk": ("failed",)}[limit]
    assert any(hit.startswith(limit) for hit in run.limits_hit), run.limits_hit


def test_closing_leaves_nothing(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    before = set(os.listdir("/proc/self/fd"))
    with Runner(Limits(wall_seconds=60), workers=2) as runner:
        assert runner.run(project.code(), GOOD).warm
        assert os.listdir(tmp_path / "own")
    assert os.listdir(tmp_path / "own") == []
    assert set(os.listdir("/proc/self/fd")) <= before
    assert runner.run(project.code(), GOOD).passed  # it can still be used; what it starts then ends at once


def test_a_further_process_is_prepared_only_where_it_pays(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    plan = plan_text(project.code(), GOOD)
    with Runner(Limits(wall_seconds=60), workers=2) as runner:
        runner.prepare(plan)
        runner.prepare(plan)
        assert not runner.starts_at_once(plan)
        with ThreadPoolExecutor(2) as pool:  # both wait for the one that starts
            assert all(done.run.warm for done in pool.map(runner.execute, [plan, plan]))
        assert runner.starts_at_once(plan)
        assert len(os.listdir(tmp_path / "own")) == 1
        runner.prepare(plan, runs=2)
        assert len(os.listdir(tmp_path / "own")) == 1
        runner.prepare(plan, runs=100_000)
        runner.prepare(plan, runs=100_000)
        runner.prepare(plan, hash_seed=1)  # in the middle of which all is closed
    assert os.listdir(tmp_path / "own") == []
    assert _prepared(os.getpid()) == []
    runner.prepare(plan)
    assert os.listdir(tmp_path / "own") == []


def test_a_forked_process_runs_cold(project: Project, ready: Runner) -> None:
    assert ready.run(project.code(), GOOD).warm
    child = os.fork()
    if not child:
        run = ready.run(project.code(), GOOD)
        os._exit(0 if run.passed and "run cold: this process was forked" in run.sandbox else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ready.run(project.code(), GOOD).warm


def test_a_plan_can_be_made_for_a_persons_file(project: Project, ready: Runner) -> None:
    test = project.write("test_x.py", GOOD)
    assert ready.execute(plan_file(test, project.code())).run.passed


def test_tests_inside_a_package_do_not_hide_the_standard_library(project: Project, ready: Runner) -> None:
    for folder in ("pkg", "pkg/tests", "pkg/tests/typing"):
        project.write(f"{folder}/__init__.py", "")
    project.write("pkg/m.py", "def half(n):\n    return n / 2\n")
    test = project.write("pkg/tests/test_m.py", "from pkg.m import half\ndef test_half():\n    assert half(4) == 2\n")
    run = ready.check(test, project.code("pkg.m", "half"))
    assert (run.verdict, run.warm) == ("passed", True), run.sandbox
