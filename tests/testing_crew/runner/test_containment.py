"""What a run can reach, in every sandbox that this machine has."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import TYPE_CHECKING

import children
import pytest

from testing_crew.runner import sandbox
from testing_crew.runner.process import Capped, run_child
from testing_crew.runner.run import Limits, Runner
from testing_crew.runner.scratch import Scratch

if TYPE_CHECKING:
    from conftest import Project

ISOLATED = [kind for kind in sandbox.available() if kind != "limits"]
PROBE = """\
import os, pathlib, pwd, socket, subprocess, sys, tempfile, threading
import pytest
import mathx

SECRET = pathlib.Path({secret!r})
ROOT = pathlib.Path(mathx.__file__).parent


def test_network_is_refused():
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", {port}), timeout=5)


def test_own_loopback_works():
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname(), timeout=5):
            assert server.accept()


@pytest.mark.parametrize("place", ["/etc", "/usr", "/var/tmp", str(ROOT), sys.prefix, "/proc/sys/kernel", "/run", "/home"])
def test_outside_is_read_only(place):
    if os.path.isdir(place):
        with pytest.raises(OSError):
            pathlib.Path(place, "tcrew-was-here").write_text("x")


@pytest.mark.parametrize("path", ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/power/state"])
def test_the_machine_cannot_be_changed(path):
    if os.path.exists(path):
        with pytest.raises(OSError):
            os.close(os.open(path, os.O_WRONLY))


def test_disks_and_privileges_are_gone():
    assert not [name for name in os.listdir("/dev") if name.startswith(("sd", "vd", "nvme", "dm-"))]
    status = pathlib.Path("/proc/self/status").read_text()
    assert "CapEff:\\t0000000000000000" in status
    executed = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    assert "CapPrm:\\t0000000000000000" in executed
    assert "CapAmb:\\t0000000000000000" in executed
    assert "NoNewPrivs:\\t1" in status
    assert subprocess.run(["mount", "-o", "remount,bind,rw", "/"], capture_output=True).returncode != 0


def test_home_is_hidden():
    assert not SECRET.exists()
    real = pwd.getpwuid(os.getuid()).pw_dir
    shown = [str(place) + "/" for place in (sys.prefix, sys.base_prefix, *sys.path, ROOT)]
    for name in os.listdir(real) if os.path.isdir(real) else []:
        assert any(place.startswith(os.path.join(real, name) + "/") for place in shown)


def test_scratch_and_tmp_are_private_and_writable(tmp_path):
    for folder in (tmp_path, "/tmp", "/dev/shm", tempfile.gettempdir(), pathlib.Path.home()):
        place = pathlib.Path(folder, "mine")
        place.write_text("x")
        place.unlink()


def test_other_processes_are_out_of_sight():
    assert sum(name.isdigit() for name in os.listdir("/proc")) < 10


def test_devices_work():
    pathlib.Path("/dev/null").write_text("x")
    assert len(pathlib.Path("/dev/urandom").open("rb").read(4)) == 4


def test_processes_and_threads_work():
    assert subprocess.run([sys.executable, "-c", "import mathx"]).returncode == 0
    thread = threading.Thread(target=print)
    thread.start()
    thread.join()
"""
EVERYWHERE = """\
import os, pathlib, resource, sys
import mathx


def test_environment_is_reduced():
    assert "TCREW_SECRET" not in os.environ
    assert not [name for name in os.environ if "TESTING_CREW" in name]
    assert os.environ["PYTHONHASHSEED"] == "0"
    assert not [entry for entry in sys.path if "probe" in entry]


def test_folders():
    assert os.getcwd() == os.path.dirname(mathx.__file__)
    assert pathlib.Path.home().parent == pathlib.Path(os.environ["TMPDIR"]).parent


def test_limits():
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == 2 * 1024**3
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == 64 * 1024**2
    assert resource.getrlimit(resource.RLIMIT_CORE)[1] == 0
    assert 0 < resource.getrlimit(resource.RLIMIT_NPROC)[0] < 100_000
"""


@pytest.mark.parametrize("kind", ISOLATED)
def test_isolation(
    project: Project, warm: bool, kind: sandbox.Kind, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "home of somebody"
    home.mkdir()
    (home / "secret").write_text("x")
    monkeypatch.setenv("HOME", str(home))
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = PROBE.format(secret=str(home / "secret"), port=server.getsockname()[1])
        run = Runner(Limits(wall_seconds=60), sandbox=kind, warm=warm).run(project.code(), text)
    assert run.verdict == "passed", run.log
    assert run.sandbox == sandbox.DESCRIPTIONS[kind]
    assert not (project.root / "tcrew-was-here").exists()


@pytest.mark.parametrize("kind", sandbox.available())
def test_environment_and_limits(
    project: Project, warm: bool, kind: sandbox.Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TCREW_SECRET", "1")
    run = Runner(sandbox=kind, warm=warm).run(project.code(), EVERYWHERE)
    assert run.verdict == "passed", run.log


@pytest.mark.parametrize("kind", sandbox.available())
def test_a_daemon_does_not_outlive_its_run(project: Project, warm: bool, kind: sandbox.Kind) -> None:
    text = (
        "import os, subprocess, sys, mathx\n"
        "def test_a():\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        subprocess.Popen(['sleep', '4321.5'], stdout=1, start_new_session=True)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "    assert mathx.add(1, 2) == 3\n"
    )
    began = time.monotonic()
    run = Runner(Limits(wall_seconds=600), sandbox=kind, warm=warm).run(project.code(), text)
    assert run.verdict == "passed", run.log
    assert time.monotonic() - began < 120
    assert not _running("4321.5")


@pytest.mark.parametrize("kind", sandbox.available())
def test_the_run_dies_with_the_runner(project: Project, warm: bool, kind: sandbox.Kind, tmp_path: Path) -> None:
    text = "import subprocess\ndef test_a():\n    subprocess.run(['sleep', '8765.25'])\n"
    script = tmp_path / "outer.py"
    script.write_text(
        "import sys\n"
        "from testing_crew.runner.run import Runner\n"
        "from trace_logger.records import CodeUnderTest\n"
        f"code = CodeUnderTest.model_validate_json({project.code().model_dump_json()!r})\n"
        f"Runner(sandbox={kind!r}, warm={warm}).run(code, {text!r})\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.getcwd()}
    with children.started([sys.executable, str(script)], env=environment) as outer:
        _wait_for(lambda: _running("8765.25"))
        outer.kill()
    if kind == "limits" and not warm:  # the child itself is killed with its parent; what it started is beyond reach
        for pid in _running("8765.25"):
            os.kill(pid, 9)
    _wait_for(lambda: not _running("8765.25"))


def _running(argument: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes().split(b"\0")[:2] == [b"sleep", argument.encode()]:
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def _wait_for(condition) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 300  # far above what a busy machine adds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_project_that_is_the_home_folder_is_shown_and_said(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    if not ISOLATED:
        pytest.skip("no sandbox here hides anything")
    monkeypatch.setenv("HOME", str(project.root))
    run = Runner().run(project.code(), "import mathx\ndef test_a():\n    assert mathx.add(1, 2) == 3\n")
    assert run.verdict == "passed", run.log
    assert "the home folder is visible" in run.sandbox


@pytest.fixture
def in_tmp(project: Project) -> Iterator[Project]:
    """A project that is the temp folder itself, among whatever else lies there."""
    project.root = Path("/tmp")
    name = f"tcrewcase{os.getpid()}"
    project.write(f"{name}.py", f"from {name}_helper import ONE\n\n\ndef more(x):\n    return x + ONE\n")
    project.write(f"{name}_helper.py", "ONE = 1\n")
    project.write(f"{name}.secret", "secret")
    yield project
    for path in Path("/tmp").glob(f"*{name}*"):
        path.unlink()


@pytest.mark.skipif(not ISOLATED, reason="no sandbox here hides anything")
def test_files_in_the_temp_folder_itself_are_run_without_its_other_files(in_tmp: Project, runner: Runner) -> None:
    name = f"tcrewcase{os.getpid()}"
    test = in_tmp.write(
        f"test_{name}.py",
        f"""\
        import pathlib
        from {name} import more

        def test_more(tmp_path):
            assert more(1) == 2
            assert not pathlib.Path("/tmp/{name}.secret").exists()
            for folder in (tmp_path, pathlib.Path("/tmp")):
                (folder / "{name}.mine").write_text("x")
        """,
    )
    run = runner.check(test, in_tmp.code(name, "more"))
    assert run.verdict == "passed", run.log
    assert not Path(f"/tmp/{name}.mine").exists()


def test_only_needed_parts_of_a_home_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("project/src", "env/bin", "letters"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "env/bin/python3").write_text("")
    (tmp_path / "python").symlink_to(tmp_path / "env/bin/python3")
    monkeypatch.setenv("HOME", str(tmp_path))
    needed = sandbox.needed_paths([str(tmp_path / "project"), str(tmp_path / "project/src"), str(tmp_path / "python")])
    view = sandbox.View("/scratch", needed, "/")
    assert any(str(tmp_path) == h or str(tmp_path).startswith(h + "/") for h in [*view.hidden, "/tmp"])
    assert view.restored == sorted(str(tmp_path / n) for n in ("project", "env/bin/python3", "python"))


def test_scratch_goes_whatever_is_in_it() -> None:
    with Scratch() as scratch:
        locked = scratch.work / "a" / "b"
        locked.mkdir(parents=True)
        (locked / "file").write_text("x")
        (scratch.work / "link").symlink_to("/")
        (locked / "file").chmod(0)
        locked.chmod(0)
        locked.parent.chmod(0o500)
        place = scratch.path
    assert not place.exists()


def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    make = "from testing_crew.runner.scratch import Scratch; import os, signal; print(Scratch().path, flush=True); "
    ended = children.run([sys.executable, "-c", make + "os.kill(os.getpid(), signal.SIGKILL)"])
    left = Path(ended.stdout.strip())
    with children.started([sys.executable, "-c", make + "input()"], stdin=PIPE, stdout=PIPE) as living:
        assert living.stdout
        held = Path(living.stdout.readline().strip())
        stranger = tmp_path / "tcrew"
        stranger.mkdir()
        for folder in (left, held, stranger):
            assert folder.is_dir()
            os.utime(folder, (0, 0))
        children.run([sys.executable, "-c", make], check=True)
        assert [folder.exists() for folder in (left, held, stranger)] == [False, True, True]


def test_capped_keeps_head_and_tail() -> None:
    kept = Capped(10)
    for piece in (b"abc", b"defgh", b"i" * 1000, b"xyz"):
        kept.feed(piece)
    assert kept.cut == 1001
    assert kept.text() == "abcde\n... 1001 bytes of output were cut here ...\niixyz"
    whole = Capped(10)
    whole.feed(b"abcdefgh")
    assert (whole.cut, whole.text()) == (0, "abcdefgh")


def test_a_child_that_closes_its_output_is_still_waited_for(tmp_path: Path) -> None:
    script = "import os, time; os.close(1); os.close(2); time.sleep(0.5); os._exit(3)"
    ended = run_child([sys.executable, "-c", script], os.environ, str(tmp_path), wall_seconds=60, output_bytes=10)
    assert (ended.exit_code, ended.timed_out, ended.output) == (3, False, "")
