"""How an adversary is played: one hostile test file, its run, what the gate says of it, and the world afterwards."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import socket
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import children
import pytest

from testing_crew.gate.gate import Gate
from testing_crew.gate.text import DOUBTS, judge
from testing_crew.runner import sandbox
from testing_crew.runner.plan import Variation, plan_text
from testing_crew.runner.run import Limits, Runner
from trace_logger.records import PytestRun

if TYPE_CHECKING:
    from conftest import Project

WAYS = ["warm", "cold"] if sys.platform.startswith("linux") else ["cold"]
SLACK = (
    60.0  # far over what a busy machine adds to the wall time, far under the 600 s that the hostile files would take
)
GATE_SECONDS = 30.0
MIB = 1024**2
HEAD = """\
import ctypes, gc, json, os, pathlib, signal, socket, subprocess, sys, threading, time
import pytest
import mathx
from mathx import add
ctypes.CDLL(None).prctl(15, b"@MARK@")
os.environ["ADVERSARY"] = "@MARK@"
"""
HONEST = "from mathx import add\n\ndef test_honest():\n    assert add(1, 2) == 3\n"


def make_runner(way: str, limits: Limits) -> Runner:
    return Runner(limits, warm=way == "warm")


_JUDGING: dict[Limits, Runner] = {}
_JUDGED: dict[str, bool] = {}
_PLACES: dict[Limits, Project] = {}  # one project for all, whose processes are started once


def _judging(limits: Limits) -> Runner:
    """What the gate runs with: the runs that it makes are the same, however the first one went."""
    return _JUDGING.setdefault(limits, Runner(limits))


def gate(runner: Runner, project: Project, case: str, text: str, run: PytestRun) -> bool:
    """The gate's word on ``text``: first what the text and ``run`` say, for that is all that most of them need.

    The rest of it does not depend on ``run``, and is asked once for each ``case``.
    """
    began = time.monotonic()
    _, reasons = judge(project.code(), text, run)
    accepted = DOUBTS.issuperset(reasons)  # what was only not found in the text, the mutants may show
    assert time.monotonic() - began < GATE_SECONDS
    if accepted and case not in _JUDGED:
        whole = Gate(_judging(runner.limits), repeats=4, mutants=12)
        place = _PLACES.setdefault(runner.limits, project)
        _JUDGED[case] = whole.judge(plan_text(place.code(), text)).accepted
    return accepted and _JUDGED[case]


@dataclass(frozen=True)
class Case:
    """One hostile file: ``text`` (behind `HEAD` unless ``raw``) with ``@NAME@`` for a fact of the host.

    ``verdicts`` are those that tell the truth about it. ``refused`` says whether the gate must refuse it; None when it
    does not matter. ``again`` plays it twice (the second run must end like the first); ``follow`` plays an honest file
    after it. ``checks`` look at the world afterwards.
    """

    text: str
    verdicts: str
    refused: bool | None = True
    limits: dict[str, Any] = field(default_factory=dict)
    raw: bool = False
    again: bool = False
    follow: bool = False
    checks: tuple[Callable[[World], object], ...] = ()


@dataclass
class World:
    """What there was after a case: ``survivors`` are processes of the run, ``remains`` its files, both on the host.

    ``seconds`` is what the run took.
    """

    case: Case
    runner: Runner
    project: Project
    text: str
    run: PytestRun
    seconds: float
    facts: dict[str, str]
    changed: bool
    survivors: list[str]
    remains: list[str]
    second: PytestRun | None = None
    honest: PytestRun | None = None

    @cached_property
    def accepted(self) -> bool:
        """Whether the gate accepts the file."""
        return gate(self.runner, self.project, self.case.text, self.text, self.run)

    def check(self) -> None:
        """What holds after every case, then what holds after this one."""
        run = self.run
        assert run.verdict in self.case.verdicts.split(), f"{run.verdict} {run.limits_hit} {run.cases}\n{run.log}"
        assert self.seconds < self.runner.limits.wall_seconds + SLACK
        assert not self.survivors
        assert not self.remains
        assert not self.changed, "the project's files are not what they were"
        assert len(run.log.encode()) < 4 * self.runner.limits.output_bytes
        assert self.facts["SECRET"] not in run.model_dump_json()
        assert PytestRun.model_validate_json(run.model_dump_json()) == run
        if self.second is not None:
            assert self.second.verdict == run.verdict, self.second.log
            assert [c.outcome for c in self.second.cases] == [c.outcome for c in run.cases]
        if self.honest is not None:
            assert self.honest.verdict == "passed", self.honest.log
            assert [case.node for case in self.honest.cases] == ["test_honest"]
            assert (self.honest.coverage.line, self.honest.limits_hit) == (1.0, ())
            assert judge(self.project.code(), HONEST, self.honest)[0]
            assert self.facts["MARK"] not in self.honest.model_dump_json()
        for look in self.case.checks:
            assert look(self) is not False, look


@dataclass
class Host:
    """Things outside that a run must not reach: listening sockets, a file in the user's home, a secret variable."""

    temporary: Path
    facts: dict[str, str]
    listening: list[socket.socket]

    def reached(self) -> list[str]:
        """The sockets that somebody has spoken to."""
        found = []
        for one in self.listening:
            with contextlib.suppress(BlockingIOError):
                if one.type == socket.SOCK_DGRAM:
                    one.recv(100)
                else:
                    one.accept()
                found.append(str(one.getsockname()))
        return found


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The host of a module's cases; the temp folder is its own, and empty again at the end."""
    if sandbox.available()[0] == "limits":
        pytest.skip("no sandbox works here, and these files are hostile")
    mark = f"adv-{secrets.token_hex(4)}"
    hidden = Path.home() / f".{mark}"
    temporary = tmp_path_factory.mktemp("host tmp")
    secret = secrets.token_hex(12)
    tcp = socket.create_server(("127.0.0.1", 0))
    udp, unix, abstract = (
        socket.socket(family, kind)
        for family, kind in (
            (socket.AF_INET, socket.SOCK_DGRAM),
            (socket.AF_UNIX, socket.SOCK_STREAM),
            (socket.AF_UNIX, socket.SOCK_STREAM),
        )
    )
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        for one in (tcp, udp, unix, abstract):
            stack.enter_context(one)
            one.setblocking(False)
        hidden.mkdir(mode=0o700)
        stack.callback(hidden.rmdir)
        (hidden / "secret").write_text(secret)
        stack.callback((hidden / "secret").unlink)
        udp.bind(("127.0.0.1", 0))
        unix.bind(str(hidden / "socket"))
        stack.callback((hidden / "socket").unlink)
        abstract.bind(f"\0{mark}")
        unix.listen()
        abstract.listen()
        patch.setattr(tempfile, "tempdir", str(temporary))
        patch.setenv("ADVERSARY_SECRET", secret)
        facts = {
            "SECRET": secret,
            "TERCES": secret[::-1],
            "HIDDEN": str(hidden),
            "TCP": str(tcp.getsockname()[1]),
            "UDP": str(udp.getsockname()[1]),
            "ABSTRACT": mark,
            "PID": str(os.getpid()),
            "TEMPORARY": str(temporary),
        }
        host = Host(temporary, facts, [tcp, udp, unix, abstract])
        yield host
        while _JUDGING:
            _JUDGING.popitem()[1].close()
        _PLACES.clear()
        left = list(temporary.iterdir())
        children.run(["rm", "-rf", "--", *map(str, left)], check=True)
        assert not left


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest,
    way: str,
    host: Host,
    new_project: Callable[[], Project],
    pool: ThreadPoolExecutor,
) -> Iterator[dict[str, Future[World]]]:
    """The module's CASES, those that were asked for, played side by side.

    One runner serves all that have its limits, and they share a project: what one does to its process the next would feel.
    """
    wanted = {i.callspec.params.get("name") for i in request.session.items if i.module is request.module}
    with ExitStack() as stack:
        runners: dict[Limits, Runner] = {}
        projects: dict[Limits, Project] = {}
        started: dict[str, Future[World]] = {}
        for name, case in request.module.CASES.items():
            if name not in wanted:
                continue
            limits = Limits(**{**_LIMITS, **case.limits})
            if limits not in runners:
                runners[limits] = make_runner(way, limits)
                projects[limits] = new_project()
                if hasattr(runners[limits], "__enter__"):
                    stack.enter_context(runners[limits])  # type: ignore[arg-type]
            started[name] = pool.submit(_play, case, way, runners[limits], projects[limits], host)
        yield started
        for future in started.values():
            future.exception()


_LIMITS = {
    "wall_seconds": 120,  # far above what a busy machine adds; what hangs says a time of its own
    "cpu_seconds": 20,
    "memory_bytes": 512 * MIB,
    "output_bytes": 64 * 1024,
    "file_bytes": 8 * MIB,
    "processes": 64,
}


def _play(case: Case, way: str, runner: Runner, project: Project, host: Host) -> World:
    facts = {**host.facts, "MARK": f"adv-{secrets.token_hex(4)}", "PROJECT": str(project.root)}
    text = dedent(case.text) if case.raw else HEAD + dedent(case.text)
    for name, value in facts.items():
        text = text.replace(f"@{name}@", value)
    before = _snapshot(project.root)
    alarm = threading.Timer(runner.limits.wall_seconds + SLACK + 1, _unblock, [host.temporary, facts["MARK"]])
    alarm.daemon = True
    alarm.start()
    began = time.monotonic()
    try:
        run = runner.run(project.code(), text)
    finally:
        alarm.cancel()
    seconds = time.monotonic() - began
    world = World(
        case=case,
        runner=runner,
        project=project,
        text=text,
        run=run,
        seconds=seconds,
        facts=facts,
        changed=_snapshot(project.root) != before,
        survivors=_survivors(facts["MARK"]),
        remains=_remains(host.temporary, facts["MARK"]),
    )
    if case.again:
        world.second = runner.run(project.code(), text)
    if case.follow or way != "cold":
        roomy = Variation(wall_seconds=_LIMITS["wall_seconds"])
        world.honest = runner.execute(plan_text(project.code(), HONEST), roomy).run
    return world


def _snapshot(root: Path) -> dict[str, tuple[int, bytes]]:
    """Path → mode and content of everything below ``root``."""
    return {
        str(path.relative_to(root)): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in [root, *root.rglob("*")]
    }


def _survivors(mark: str) -> list[str]:
    """The processes that carry ``mark``, after a moment in which the kernel may finish its work."""
    deadline = time.monotonic() + 60
    while True:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            for name in ("comm", "cmdline", "environ"):
                with contextlib.suppress(OSError):
                    if mark.encode() in (entry / name).read_bytes():
                        found.append(f"{entry.name}: {(entry / 'cmdline').read_bytes()!r}")
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def _scratches(temporary: Path, mark: str) -> list[str]:
    """The folders of runs whose test file carries ``mark``."""
    found = []
    for path in glob.glob(f"{temporary}/*/work/test_generated.py"):
        with contextlib.suppress(OSError):
            if mark.encode() in Path(path).read_bytes():
                found.append(str(Path(path).parent.parent))
    return found


def _remains(temporary: Path, mark: str) -> list[str]:
    """What is left of the run on the host."""
    places = ("/tmp", "/var/tmp", "/dev/shm", "/etc", "/", "/run", "/home", "/opt", "/usr/local", str(Path.home()))
    found = [path for place in (*places, f"{temporary}/*/*") for path in glob.glob(f"{place}/*{mark}*")]
    return found + _scratches(temporary, mark)


def _unblock(temporary: Path, mark: str) -> None:
    """Let go a runner that waits for somebody to write into a pipe which its run left in place of a file."""
    for path in [p for scratch in _scratches(temporary, mark) for p in glob.glob(f"{scratch}/report-*/*")]:
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.lstat(path).st_mode):
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


# -- what each module of cases is asked: it has a table CASES, and takes these two in ----------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each case of the module by its name; of `test_refused` those that the gate must refuse."""
    if metafunc.function in (test_contained_and_told, test_refused):
        every = metafunc.function is test_contained_and_told
        cases: dict[str, Case] = metafunc.module.CASES
        metafunc.parametrize("name", [name for name, case in cases.items() if every or case.refused])


def test_contained_and_told(played: dict[str, Future[World]], name: str) -> None:
    played[name].result().check()


def test_refused(played: dict[str, Future[World]], name: str) -> None:
    assert not played[name].result().accepted
