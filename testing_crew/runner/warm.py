"""Our side of the warm runner: one zygote, from its start to its end. `inside/zygote.py` is the other side."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Hashable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from testing_crew.project.imports import package_root
from testing_crew.project.layout import importable
from testing_crew.project.options import python_path
from testing_crew.runner import sandbox as box
from testing_crew.runner.cold import environment, process_limit, start_mark
from testing_crew.runner.inside.launch import VARIABLE
from testing_crew.runner.inside.messages import receive, send
from testing_crew.runner.inside.room import FOLDERS
from testing_crew.runner.plan import PLAINEST, Limits, Plan, Variation
from testing_crew.runner.process import kill_marked
from testing_crew.runner.scratch import Folder, install_probe
from testing_crew.runner.verdict import Ending, read_report

TESTED_PYTEST = ((8, 0), (9, 2))  # the first and the last whose insides the zygote was tried with
_START_SECONDS = 120
_GRACE_SECONDS = 20
_START_MODULES = {"sitecustomize", "usercustomize"}  # which Python imports when it starts
_SAMPLE_TARGET = "def half(number):\n    return number / 2\n"
_SAMPLE = """\
import pytest
from sample_target import half


@pytest.mark.parametrize(("number", "expected"), [(4, 2), (3, 1)])
def test_half(number, expected, capsys):
    assert half(number) == expected


def test_texts():
    with pytest.raises(TypeError):
        half("x")
    assert {"a": [1, 2]} == {"a": [1, 3]}
"""


class Refused(Exception):
    """No warm run can be had; the message says why, for a person."""


def mould(plan: Plan, hash_seed: int) -> Hashable:
    """What two runs must have in common to come from one zygote."""
    where = (plan.root, plan.top, plan.in_place, plan.settings, plan.mode, plan.conftests, plan.needed)
    options = (plan.options, plan.path if plan.options.bring_plugins else ())
    return plan.interpreter.executable, plan.interpreter.pytest, where, options, hash_seed


def refusal(plan: Plan) -> str:
    """Why ``plan`` cannot have a zygote at all; empty when it may."""
    if not sys.platform.startswith("linux"):
        return "warm runs need Linux"
    version = tuple(int(part) for part in plan.interpreter.pytest.split(".")[:2] if part.isdigit())
    first, last = TESTED_PYTEST
    if not first <= version <= last:
        return f"warm runs were not tried with pytest {plan.interpreter.pytest}"
    return ""


class Zygote:
    """A process that forks a run whenever it is asked, once it was met. It serves one run at a time and ends with us, however
    we end.
    """

    def __init__(self, plan: Plan, hash_seed: int, kind: box.Kind, limits: Limits, *, nested: bool) -> None:
        self.kind = kind
        self.alive = True
        self._plan = plan
        self._limits = replace(limits, wall_seconds=_START_SECONDS)
        self._nested = nested
        self._scratch = Folder()
        self._folder = self._scratch.path
        self._place = self._folder / "run"
        try:
            self._start(plan, hash_seed, limits, nested)
        except BaseException:
            self.close()
            raise

    def meet(self) -> None:
        """Wait until it is ready. Raises `Refused` when it cannot be had here; it has ended then."""
        try:
            self._meet(self._plan, self._limits)
        except BaseException:
            self.close()
            raise

    def _start(self, plan: Plan, hash_seed: int, limits: Limits, nested: bool) -> None:
        for name in FOLDERS:
            (self._place / name).mkdir(parents=True)
        for name in box.STAND_INS:
            (self._folder / name).mkdir()
        launcher = self._folder / "probe" / "_testing_crew_zygote.py"
        install_probe(launcher, "start")
        placed = plan.place(self._place / "work")
        view = box.View(str(self._folder), plan.needed, str(placed.cwd), nested=nested, follow_parent=False)
        level = "nested" if nested else "limits" if self.kind == "limits" else "shared"
        covered = {"shm": "/dev/shm", **({"slash-tmp": "/tmp"} if view.private_tmp else {})}
        self._covered = list(covered.values()) if level == "shared" else []
        shared = [str(self._place), *([str(self._folder), *covered.values()] if level == "shared" else [])]
        self._control, theirs = socket.socketpair()
        settings = {
            "control": theirs.fileno(),
            "stage": "conftests" if plan.conftests or placed.late else "session",
            "level": level,
            "place": str(self._place),
            "covered": covered,
            "disk_bytes": limits.disk_bytes,
            "shared": shared,
            "kept": [str(self._folder / name) for name in ("probe", "run", "settings.json", "log", *box.STAND_INS)],
            "arguments": list(placed.options),
        }
        settings_file = self._folder / "settings.json"
        settings_file.write_text(json.dumps(settings), encoding="utf-8")
        own = environment(plan.interpreter, self._place, hash_seed, limits.pass_env)
        variables = {**own, VARIABLE: str(settings_file)}
        if plan.options.bring_plugins:
            variables["PYTHONPATH"] = os.pathsep.join(map(str, plan.path))
        if nested:
            variables["TMPDIR"] = "/dev/shm"  # all that can be written to before a run has a place of its own
        self._log = self._folder / "log"
        with self._log.open("wb") as log, theirs:
            self._process = subprocess.Popen(
                box.wrap(self.kind, [plan.interpreter.executable, str(launcher)], view),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=variables,
                cwd=str(placed.cwd) if self.kind == "limits" else None,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def _meet(self, plan: Plan, limits: Limits) -> None:
        """Have a sample run, see that it went as it must, and have the parent import what it needed."""
        self._ask(None, _START_SECONDS)
        files = {"sample_target.py": _SAMPLE_TARGET.encode(), "test_sample.py": _SAMPLE.encode()}
        order = self._order(plan, PLAINEST, limits, files, learn=True)
        work = self._place / "work"
        order.update(test=str(work / "test_sample.py"), path=[str(work)], behind=[], cwd=str(work))
        names = {"module": "sample_target", "target": str(work / "sample_target.py"), "range": [1, 2]}
        order["settings"].update(names, test=order["test"])
        answer = self._ask(order, _START_SECONDS)
        report = read_report(_ending(answer, order).report)
        found = {case.node: (case.outcome, case.actual) for case in report.cases} if report else {}
        due = {
            "test_half[4-2]": ("passed", None),
            "test_half[3-1]": ("failed", "1.5"),
            "test_texts": ("failed", "{'a': [1, 2]}"),
        }
        # A project's settings may call other functions tests; then it is enough that the run came to its end.
        if report is None or report.internal or (found != due and plan.settings is None):
            said = str(answer.get("error") or answer.get("output", "")).strip().splitlines()
            raise Refused(f"a sample did not run as it must in a warm run ({said[-1] if said else 'no word why'})")
        modules = [name for name in json.loads(answer["modules"]) if not name.startswith(("sample", "test_sample"))]
        portrait = self._ask({"modules": modules}, _START_SECONDS)
        if portrait["threads"] != 1:
            raise Refused("a plugin of pytest's started a thread, which no fork would have")
        self._modules: dict[str, str] = portrait["modules"]
        self._files = frozenset(portrait["files"])

    def _ask(self, message: dict[str, Any] | None, seconds: float) -> dict[str, Any]:
        self._control.settimeout(seconds)
        try:
            if message is not None:
                send(self._control, message)
            answer = receive(self._control)
        except OSError:  # it does not answer, or is gone
            answer = None
        if answer is None:
            self.alive = False
            said = self._log.read_text(errors="replace").strip().splitlines()
            raise Refused(f"the process that runs are forked from ended ({said[-1] if said else 'no word why'})")
        return answer

    def objection(self, plan: Plan) -> str:
        """Why ``plan`` is not sound here although its mould fits; empty when it is."""
        placed = plan.place(self._place / "work")
        if os.path.realpath(placed.target) in self._files:
            return "the target is loaded with pytest's own plugins"
        own = {name.partition("/")[0].partition(".")[0]: "" for name in plan.files}
        reached = {package_root(placed.test)[0], *python_path(plan.settings)}  # where pytest itself will look
        for folder in dict.fromkeys([*placed.path, *map(str, reached)]):
            own |= dict.fromkeys(importable(folder), os.path.join(os.path.realpath(folder), ""))
        hidden = sorted(name for name, folder in own.items() if self._would_hide(name, folder))
        return f"{hidden[0]} of the project would be hidden by the module of that name in pytest" if hidden else ""

    def _would_hide(self, name: str, folder: str) -> bool:
        """Whether pytest brings a module ``name`` that is not the one that lies in ``folder``."""
        if name in _START_MODULES:
            return True
        return name in self._modules and not (folder and self._modules[name].startswith(folder + name))

    def run(self, plan: Plan, variation: Variation, limits: Limits) -> tuple[Ending, Path]:
        """One run of ``plan``, and the folder of its own that it was in. Raises `Refused`."""
        order = self._order(plan, variation, limits, plan.files)
        began = time.monotonic()
        try:
            answer = self._ask(order, order["limits"]["wall_seconds"] + _GRACE_SECONDS)
        except Refused:
            if self._nested:
                raise
            # The test took its own parent with it, as it can where nothing lies between them.
            return replace(_ENDED, seconds=time.monotonic() - began), self._place / "work"
        ending = _ending(answer, order)
        if "error" in answer or not ending.started:
            said = answer.get("error") or " ".join(ending.output.split()) or "no word why"
            raise Refused(f"a warm run could not be set up ({said})")
        self.alive = not answer["spent"] or self.kind == "limits"
        return ending, self._place / "work"

    def _order(
        self, plan: Plan, variation: Variation, limits: Limits, files: Any, *, learn: bool = False
    ) -> dict[str, Any]:
        placed = plan.place(self._place / "work")
        report = self._place / f"report-{secrets.token_hex(8)}" / "report.json"
        return {
            "place": str(self._place),
            "files": {name: base64.b64encode(data).decode() for name, data in files.items()},
            "test": str(placed.test),
            "path": list(placed.path),
            "behind": list(placed.behind),
            "options": [] if learn else list(placed.late),
            "cwd": str(placed.cwd),
            "settings": {
                **variation.settings(plan, placed, str(report)),
                "jobs": variation.jobs if self._nested else 1,  # elsewhere too much else is to be seen
                "folders": [*(str(self._place / name) for name in FOLDERS), *self._covered],
            },
            "limits": {
                **asdict(limits),
                "process_limit": process_limit(limits.processes, self.kind),
                "wall_seconds": variation.wall_seconds or limits.wall_seconds,
            },
            "learn": learn,
            "started": start_mark(),
        }

    def hang_up(self) -> None:
        """Let the start or the run that is going on end now: who waits for it in another thread gets `Refused`."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the process and remove its folder. May be called twice."""
        self.alive = False
        if hasattr(self, "_control"):
            self._control.close()  # at which the other side ends by itself
        if hasattr(self, "_process"):
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        if self.kind == "limits" and sys.platform == "linux":
            kill_marked(f"HOME={self._place / 'home'}")
        self._scratch.remove()


_ENDED = Ending(-9, "", 0, "", 0.0, True, None, None, None)


def _ending(answer: dict[str, Any], order: dict[str, Any]) -> Ending:
    if "error" in answer:
        return _ENDED
    return Ending(
        exit_code=answer["exit_code"],
        output=answer["output"].replace(order["started"], "", 1),
        cut_bytes=answer["cut_bytes"],
        over=answer["over"],
        seconds=answer["seconds"],
        started=order["started"] in answer["output"],
        report=answer["report"],
        cpu_seconds=answer["cpu_seconds"],
        peak_bytes=answer["peak_bytes"],
    )
