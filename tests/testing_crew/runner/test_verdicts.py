"""Each verdict, from real runs of files that bring it about."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testing_crew.errors import SandboxError, UserMistake
from testing_crew.gate.text import judge
from testing_crew.runner import sandbox
from testing_crew.runner.failures import failure_log
from testing_crew.runner.run import Limits, Runner
from testing_crew.runner.verdict import read_report
from trace_logger.records import CodeUnderTest, PytestRun

if TYPE_CHECKING:
    from conftest import Project

IMPORT = "import os, sys, pytest\nfrom mathx import add\n"
GOOD = "def test_good():\n    assert add(1, 2) == 3\n"
ENDINGS = {
    "passed": GOOD,
    "failed": "def test_a():\n    assert add(1, 2) == 4\n" + GOOD,
    "no_tests": "value = add(1, 2)\n",
    "skipped": GOOD + "@pytest.mark.skip\ndef test_b():\n    assert add(1, 1) == 2\n",
    "skipped (module)": "pytest.skip('no', allow_module_level=True)\n" + GOOD,
    "skipped (xpassed)": GOOD + "@pytest.mark.xfail\ndef test_b():\n    assert add(1, 1) == 2\n",
    "crashed (exit 0)": GOOD + "def test_b():\n    os._exit(0)\n",
    "crashed (at exit)": "import atexit\natexit.register(os._exit, 0)\ndef test_b():\n    assert add(1, 1) == 3\n",
    "crashed (late failure)": "import atexit\natexit.register(os._exit, 1)\n" + GOOD,
    "crashed (pytest.exit)": GOOD + "def test_b():\n    pytest.exit('enough', returncode=0)\n",
    "crashed (segfault)": GOOD + "def test_b():\n    import ctypes\n    ctypes.string_at(0)\n",
    "crashed (killed)": "def test_b():\n    os.kill(os.getpid(), 9)\n",
    "crashed (parent killed)": "def test_b():\n    os.kill(os.getppid(), 9)\n    import time\n    time.sleep(60)\n",
    "out_of_memory (killed)": "def test_b():\n    held = bytearray(420 * 2**20)\n    os.abort()\n",
    "out_of_memory": "def test_b():\n    held = []\n    while True:\n        held.append(bytearray(10**7))\n",
}


@pytest.fixture(scope="module")
def endings(
    new_project: Callable[[], Project], quick: Runner, pool: ThreadPoolExecutor
) -> dict[str, Future[PytestRun]]:
    return {e: pool.submit(quick.run, new_project().code(), IMPORT + text) for e, text in ENDINGS.items()}


@pytest.mark.parametrize("ending", ENDINGS)
def test_endings(endings: dict[str, Future[PytestRun]], ending: str) -> None:
    run = endings[ending].result()
    assert run.verdict == ending.partition(" ")[0], run.log
    assert run.passed == (ending == "passed")
    assert run.limits_hit == (("memory (512 MiB)",) if "out_of_memory" in ending else ())
    assert run.duration > 0


def test_a_hang_is_stopped(project: Project) -> None:
    began = time.monotonic()
    run = Runner(Limits(wall_seconds=2)).run(
        project.code(), IMPORT + "import time\ndef test_a():\n    time.sleep(600)\n"
    )
    assert (run.verdict, run.exit_code, run.limits_hit) == ("timeout", None, ("wall time (2 s)",))
    assert time.monotonic() - began < 60
    assert failure_log(run) == "limit: wall time (2 s)"


@pytest.mark.parametrize("kind", sandbox.available())
def test_a_busy_loop_is_stopped_by_its_cpu_time(project: Project, warm: bool, kind: sandbox.Kind) -> None:
    limits = Limits(wall_seconds=120, cpu_seconds=1)
    deaf = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\n" if kind == "bubblewrap" else ""
    text = IMPORT + deaf + "def test_a():\n    while add(1, 1):\n        pass\n"
    run = Runner(limits, sandbox=kind, warm=warm).run(project.code(), text)
    assert (run.verdict, run.limits_hit) == ("timeout", ("CPU time (1 s)",))


def test_a_flood_of_output_is_cut_in_the_middle(project: Project) -> None:
    text = IMPORT + (
        "def test_a(capfd):\n"
        "    with capfd.disabled():\n"
        "        os.write(1, b'first words\\n')\n"
        "        for _ in range(300):\n"
        "            os.write(1, b'x' * 100_000)\n"
        "    assert add(1, 2) == 3\n"
    )
    run = Runner(Limits(wall_seconds=60, output_bytes=10_000)).run(project.code(), text)
    assert run.verdict == "passed"
    assert len(run.log) < 11_000
    assert "first words" in run.log
    assert "1 passed" in run.log
    assert "bytes of output were cut here" in run.log
    assert [hit.partition(" ")[0] for hit in run.limits_hit] == ["output"]


def test_a_file_cannot_grow_beyond_its_limit(project: Project) -> None:
    text = IMPORT + (
        "def test_a(tmp_path):\n"
        "    with open(tmp_path / 'big', 'wb') as file:\n"
        "        for _ in range(20):\n"
        "            file.write(b'x' * 10**6)\n"
    )
    run = Runner(Limits(wall_seconds=60, file_bytes=8 * 1024**2)).run(project.code(), text)
    assert (run.verdict, run.limits_hit) == ("failed", ("file size (8 MiB)",))
    assert run.cases[0].exception == "OSError"


def test_a_setting_that_pytest_refuses_is_an_error(project: Project, runner: Runner) -> None:
    project.write("pytest.ini", "[pytest]\nminversion = 99\n")
    run = runner.run(project.code(), IMPORT + GOOD)
    assert (run.verdict, run.exit_code) == ("error", 4)
    assert "99" in run.log


def test_the_projects_settings_hold(project: Project, runner: Runner) -> None:
    project.write("pyproject.toml", "[tool.pytest.ini_options]\nusefixtures = ['mark']\n")
    fixture = "@pytest.fixture\ndef mark():\n    os.environ['MARK'] = '1'\n"
    run = runner.run(
        project.code(), IMPORT + fixture + "def test_a():\n    assert add(os.environ['MARK'], '') == '1'\n"
    )
    assert run.verdict == "passed", run.log


def test_an_option_of_the_projects_that_pytest_does_not_know_ends_the_run_as_it_ends_the_projects_own(
    project: Project, runner: Runner
) -> None:
    project.write("pyproject.toml", "[tool.pytest.ini_options]\naddopts = '--no-such-option'\n")
    run = runner.run(project.code(), IMPORT + "def test_a():\n    assert add(1, 2) == 3\n")
    assert run.verdict == "error"
    assert "unrecognized arguments: --no-such-option" in run.log


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"cases": []}', '{"cases": 3}'])
def test_a_report_must_be_one(text: str | None) -> None:
    assert read_report(text) is None


def test_a_snippet_is_importable_beside_its_tests(project: Project, runner: Runner) -> None:
    source = "def twice(x):\n    return 2 * x\n"
    code = CodeUnderTest(
        source=source, shown=source, module="pkg.snip", unit="twice", root=str(project.root), interpreter=sys.executable
    )
    tests = "from pkg.snip import twice\nimport mathx\ndef test_a():\n    assert twice(mathx.LIMIT) == 20\n"
    run = runner.run(code, tests)
    assert (run.verdict, run.target_origin, run.coverage.line) == ("passed", "pkg/snip.py", 1.0)
    assert judge(code, tests, run) == (True, ())
    shadow = {"mathx.py": "LIMIT = 4\n", "pkg/snip.py": source}
    run = runner.run(code, tests, files=shadow)
    assert run.cases[0].actual == "8"
    assert runner.run(code, tests, files={}).cases[0].exception == "ModuleNotFoundError"


@pytest.mark.parametrize("name", ["../outside.py", "/outside.py", ""])
def test_files_stay_in_their_folder(project: Project, runner: Runner, name: str) -> None:
    with pytest.raises(UserMistake, match="relative path"):
        runner.run(project.code(), GOOD, files={name: ""})


def test_mistakes_are_said_with_what_mends_them(project: Project, runner: Runner, tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match="no Python interpreter at"):
        runner.run(project.code(interpreter=str(tmp_path / "python")), GOOD)
    fake = tmp_path / "fake"
    fake.write_text("#!/bin/sh\necho nonsense\n")
    fake.chmod(0o755)
    with pytest.raises(UserMistake, match="does not run as a Python interpreter"):
        runner.run(project.code(interpreter=str(fake)), GOOD)
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(UserMistake, match="has no pytest") as error:
        runner.run(project.code(interpreter=str(bare)), GOOD)
    assert f'{bare} -m pip install "pytest>=8"' in str(error.value)
    with pytest.raises(UserMistake, match="no folder at"):
        runner.run(project.code().model_copy(update={"root": str(tmp_path / "gone")}), GOOD)
    with pytest.raises(UserMistake, match="no test file at"):
        runner.check(tmp_path / "test_gone.py", project.code())


def test_a_start_that_fails_is_no_verdict(project: Project, runner: Runner) -> None:
    project.write("sitecustomize.py", "import os\nprint('not today', flush=True)\nos._exit(5)\n")
    with pytest.raises(SandboxError, match="pytest could not be started: not today"):
        runner.run(project.code(), GOOD)


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may start as many processes as it likes")
def test_processes_are_counted(project: Project) -> None:
    text = (
        IMPORT + "import subprocess\ndef test_a():\n    held = [subprocess.Popen(['sleep', '9']) for _ in range(60)]\n"
    )
    run = Runner(Limits(wall_seconds=60, processes=20)).run(project.code(), text)
    assert (run.verdict, run.limits_hit) == ("failed", ("processes (20)",))


def _sleeping(argument: str) -> bool:
    lines = [entry.read_bytes() for entry in Path("/proc").glob("[0-9]*/cmdline") if entry.parent.exists()]
    return any(line.split(b"\0")[:2] == [b"sleep", argument.encode()] for line in lines)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks around in /proc")
def test_an_interrupt_leaves_nothing_behind(
    project: Project, warm: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = f"611.{os.getpid()}"  # another suite may be at it too
    own = tmp_path / "own tmp"
    own.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(own))
    text = (
        IMPORT
        + "import subprocess\ndef test_a():\n    print(add(1, 2))\n    subprocess.run(['sleep', '"
        + long
        + "'])\n"
    )

    def interrupt() -> None:
        while not _sleeping(long):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with Runner(Limits(wall_seconds=60), warm=warm) as runner:
            ended = runner.run(project.code(), text)
        pytest.fail(f"it ended by itself: {ended.verdict} {ended.limits_hit}\n{ended.log}")
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGINT, before)
    assert list(own.iterdir()) == []
    assert not _sleeping(long)


def test_a_sandbox_that_is_not_there_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "available", lambda: ("limits",))
    with pytest.raises(SandboxError, match="does not work on this machine"):
        Runner(sandbox="bubblewrap").run(project.code(), GOOD)
    run = Runner().run(project.code(), IMPORT + GOOD)
    assert run.sandbox == "limits only: no network or file isolation on this machine"
    assert sandbox.describe() == ("limits", run.sandbox)
