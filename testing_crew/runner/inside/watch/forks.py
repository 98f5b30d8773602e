"""Many changes of the target tried from one process that has imported it and collected the tests: a fork for each.

The process that forks runs no test itself. Each fork gets its own copy of everything in memory; what it writes to the run's
folders is removed behind it, and what it starts is killed. `serve` refuses where a fork would not be as good as a process of
its own: where threads or other processes run, or files are open whose places all forks would share.

Runs inside the target's interpreter: standard library only, Linux only.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import ast
import contextlib
import gc
import json
import os
import random
import select
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from .. import around, linux
from . import other
from .live import Live

_ANEW = 75  # exit status of a fork that could not have its change
_SLOWER = 10  # all cases may take this many times as long as without a change
_MOST_BYTES = 16 * 2**20  # of one report


class Forks:
    """The changes that ``wanted`` lists, to be made in ``source``, the text of the file ``target``, and tried one by one.

    ``wanted`` has the fields of `plan.Change` for each. In a fork, ``report`` is where its report goes and ``only`` are the cases
    that it is to run (None: all).
    """

    def __init__(self, source: str, target: str, report: str, folders: Sequence[str], wanted: Sequence[Any]) -> None:
        self.source, self.target, self.report = source, target, report
        self.only: frozenset[str] | None = None
        self._folders = [os.path.realpath(folder) for folder in folders]
        self._wanted = wanted
        self._open: set[int] = set()
        self._answers: list[dict[str, Any]] = []

    def before_collection(self) -> None:
        """Note what is open before anything of the project's is imported."""
        self._open = _open_files()

    def serve(self, restated: Callable[[str], ast.AST]) -> None:
        """Try all changes. Returns in the forks, ready to run the cases of ``only``, and nowhere else.

        The first fork runs all cases against functions that do the same by other code (``restated``): where that does not
        pass, none of this can be believed.
        """
        refusal = self._refusal()
        if refusal:
            self._end(refusal)
        live = Live(self.source, self.target)
        self._kept = self._written()
        gc.collect()
        gc.freeze()  # what is here is not looked at, and so not copied, in the forks
        longest = max((each[4] for each in self._wanted), default=10.0)
        if self._fork(lambda: live.restate(restated), None, longest):
            return
        for start, end, new, cases, seconds in self._wanted:

            def change(start: int = start, end: int = end, new: str = new) -> None:
                live.change(start, end, new)

            if self._fork(change, cases, seconds):
                return
            if cases is not None and self._answers[-1]["exit"] == 0:
                self._answers.pop()
                if self._fork(change, None, max(seconds, _SLOWER * self._answers[0]["seconds"])):
                    return
        self._end("")

    def _refusal(self) -> str:
        if len(os.listdir("/proc/self/task")) > 1:
            return "a thread was started"
        if _open_files() - self._open:
            return "a file was opened"
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
            return "a process was started"
        linux.adopt_orphans()
        return ""

    def _end(self, refusal: str) -> NoReturn:
        with open(self.report + ".part", "w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump({"refusal": refusal, "answers": self._answers}, file)
        os.replace(self.report + ".part", self.report)
        os._exit(0)

    # -- one fork -----------------------------------------------------------------------------------------------------

    def _fork(self, change: Callable[[], None], cases: Sequence[str] | None, seconds: float) -> bool:
        """Whether this is the fork, with the change made; where it is not, the fork has run and has its answer."""
        began = time.monotonic()
        report = f"{self.report}.{len(self._answers)}"
        child = os.fork()
        if not child:
            try:
                linux.die_with_parent()
                os.setsid()
                random.seed()
                other.changed = 0
                change()
            except BaseException:  # `Anew`, or a text that this interpreter does not compile
                os._exit(_ANEW)
            self.report = report
            self.only = None if cases is None else frozenset(cases)
            return True
        over = _await(child, began + seconds)
        taken = time.monotonic() - began
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
        text = around.read_plain(report, _MOST_BYTES)
        self._answers.append(
            {
                "exit": os.waitstatus_to_exitcode(status),
                "over": "wall" if over else "",
                "seconds": taken,
                "cpu_seconds": usage.ru_utime + usage.ru_stime,
                "peak_bytes": usage.ru_maxrss * 1024,
                "report": text,
                "anew": os.waitstatus_to_exitcode(status) == _ANEW and text is None,
            }
        )
        around.remove(report)
        self._clear()
        return False

    def _clear(self) -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)  # raises where nothing is left, as is usual
            around.kill_descendants()
        found = self._written()
        for path in [path for path in found if path not in self._kept]:
            around.remove(path)
        if any(found.get(path) != mark for path, mark in self._kept.items()):
            self._end("")  # a file that was there is another now: what comes next needs a new folder

    def _written(self) -> dict[str, tuple[int, ...]]:
        """Everything in the run's folders, with what shows that it was changed; but for the folder of the reports."""
        found: dict[str, tuple[int, ...]] = {}
        for folder in self._folders:
            for place, inner, names in os.walk(folder):
                for name in inner:
                    found[os.path.join(place, name)] = ()
                for name in names:
                    path = os.path.join(place, name)
                    with contextlib.suppress(OSError):
                        seen = os.lstat(path)
                        found[path] = (seen.st_mtime_ns, seen.st_size, seen.st_ino, seen.st_mode)
        return found


def _open_files() -> set[int]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that by which the list was read
            os.fstat(int(name))
            found.add(int(name))
    return found


def _await(child: int, deadline: float) -> bool:
    """Wait for ``child`` to end, or for ``deadline``: True then."""
    try:
        ending = os.pidfd_open(child)
    except (AttributeError, OSError):  # an old kernel
        while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > deadline:
                return True
            time.sleep(0.002)
        return False
    try:
        return not select.select([ending], [], [], max(deadline - time.monotonic(), 0.0))[0]
    finally:
        os.close(ending)
