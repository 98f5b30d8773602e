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
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn

from .. import around, linux
from . import other
from .live import Live

_ANEW = 75  # exit status of a fork that could not have its change
_SLOWER = 10  # all cases may take this many times as long as without a change
_MEETINGS = frozenset(
    ("socket.bind", "subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec", "os.mkdir")
)
_MOST_BYTES = 16 * 2**20  # of one report


class _Fork(NamedTuple):
    """One at work: ``ending`` is open and can be read when it has ended."""

    number: int
    child: int
    ending: int
    began: float
    deadline: float
    report: str


class Forks:
    """The changes that ``wanted`` lists, to be made in ``source``, the text of the file ``target``, and tried in forks.

    ``wanted`` has the fields of `plan.Change` for each. At most ``jobs`` forks are at work at once, and only one where the tests
    do what two might meet at: write files, listen at a port, start processes. In a fork, ``report`` is where its report goes,
    ``only`` are the cases that it is to run (None: all), and ``source`` is its text of the target.
    """

    def __init__(
        self, source: str, target: str, report: str, folders: Sequence[str], wanted: Sequence[Any], jobs: int
    ) -> None:
        self.source, self.target, self.report = source, target, report
        self.only: frozenset[str] | None = None
        self._folders = [os.path.realpath(folder) for folder in folders]
        self._wanted = wanted
        self._jobs = jobs
        self._open: set[int] = set()
        self._running: list[_Fork] = []
        self._left: deque[tuple[int, int, int, str, Sequence[str] | None, float]] = deque()
        self._whole: set[int] = set()  # those whose chosen cases passed, and that are tried with all of them
        self._clean: dict[str, int] = {}
        self._answers: dict[int, dict[str, Any]] = {}  # the first is of no change

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
        mark = f"{self.report}.meets"

        def restate() -> None:
            sys.addaudithook(_meeting(mark, os.path.dirname(self.report)))
            live.restate(restated)

        if self._begin(0, restate, None, sum(each[4] for each in self._wanted)):
            return
        self._finish_next()
        if self._answers[0]["exit"] != 0:
            self._end("a run without a change did not pass")
        self._jobs = 1 if os.path.exists(mark) else self._jobs
        self._clean = self._times()
        self._left = deque((number, *each) for number, each in enumerate(self._wanted, 1))
        while self._left or self._running:
            while self._left and len(self._running) < self._jobs:
                number, start, end, new, cases, seconds = self._left.popleft()
                if self._begin(number, partial(live.change, start, end, new), cases, seconds):
                    self.source = f"{self.source[:start]}{new}{self.source[end:]}"
                    return
            number = self._finish_next()
            start, end, new, cases, seconds = self._wanted[number - 1]
            passed = number in self._answers and self._answers[number]["exit"] == 0
            if cases is not None and passed and number not in self._whole:
                self._whole.add(number)
                del self._answers[number]
                longest = max(seconds, _SLOWER * self._answers[0]["seconds"])
                self._left.appendleft((number, start, end, new, None, longest))
        self._end("")

    def _refusal(self) -> str:
        if not hasattr(os, "pidfd_open"):
            return "this Python cannot wait for several processes"
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
        answers = [self._answers.get(number) for number in range(len(self._wanted) + 1)]
        found = {"refusal": refusal, "answers": answers, "jobs": self._jobs}
        with open(self.report + ".part", "w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump(found, file)
        os.replace(self.report + ".part", self.report)
        os._exit(0)

    # -- one fork -----------------------------------------------------------------------------------------------------

    def _begin(self, number: int, change: Callable[[], None], cases: Sequence[str] | None, seconds: float) -> bool:
        """Fork. Whether this is the fork, with the change made."""
        began = time.monotonic()
        report = f"{self.report}.{number}"
        child = os.fork()
        if child:
            self._running.append(_Fork(number, child, os.pidfd_open(child), began, began + seconds, report))
            return False
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

    def _finish_next(self) -> int:
        """Wait until a fork has ended or its time is over; the number of its change, whose answer is there then."""
        while True:
            soonest = min(fork.deadline for fork in self._running)
            ending = [fork.ending for fork in self._running]
            ended = select.select(ending, [], [], max(soonest - time.monotonic(), 0.0))[0]
            for fork in self._running:
                if fork.ending in ended or time.monotonic() >= fork.deadline:
                    self._finish(fork, over=fork.ending not in ended)
                    return fork.number

    def _finish(self, fork: _Fork, *, over: bool) -> None:
        taken = time.monotonic() - fork.began
        status, usage, text = self._end_of(fork)
        code = os.waitstatus_to_exitcode(status)
        self._answers[fork.number] = {
            "exit": code,
            "over": "wall" if over else "",
            "seconds": taken,
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "peak_bytes": usage.ru_maxrss * 1024,
            "report": text,
            "anew": code == _ANEW and text is None,
        }
        if self._jobs == 1 or not fork.number:
            self._clear()
        elif self._times() != self._clean or self._orphans():
            self._alone_again(fork.number)

    def _end_of(self, fork: _Fork) -> tuple[int, Any, str | None]:
        """Kill what is left of it; its status, what it used, and its report."""
        for kill in (os.killpg, os.kill):  # the latter before it has a group of its own
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(fork.child, signal.SIGKILL)
        _, status, usage = os.wait4(fork.child, 0)
        os.close(fork.ending)
        self._running.remove(fork)
        text = around.read_plain(fork.report, _MOST_BYTES)
        around.remove(fork.report)
        return status, usage, text

    def _alone_again(self, number: int) -> None:
        """Something was left behind, by whichever of those at work: they are tried again, one after the other from here on."""
        spoilt = [number, *(fork.number for fork in self._running)]
        for fork in [*self._running]:
            self._end_of(fork)
        self._jobs = 1
        for each in spoilt:
            self._answers.pop(each, None)
            self._whole.discard(each)
            self._left.appendleft((each, *self._wanted[each - 1]))
        self._clear()

    def _times(self) -> dict[str, int]:
        """When something was last made or removed in the run's folders, and in folders in them."""
        places = [place for folder in self._folders for place, _, _ in os.walk(folder)]
        return {place: os.stat(place).st_mtime_ns for place in places}

    def _orphans(self) -> bool:
        """Whether a process runs whose own parent has ended: it is ours then, and none of the forks at work."""
        ours = {fork.child for fork in self._running}
        for name in around.processes():
            with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat") as file:
                if int(file.read().rpartition(")")[2].split()[1]) == os.getpid() and int(name) not in ours:
                    return True
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


def _meeting(mark: str, own: str) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that makes the file ``mark`` where the process does what two at once may meet at; ``own`` is ours."""

    def heard(event: str, given: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if not (writes or event in _MEETINGS):
            return
        path = os.fsdecode(given[0]) if writes and isinstance(given[0], (str, bytes, os.PathLike)) else ""
        if path != os.devnull and not path.startswith(own):
            os.close(os.open(mark, os.O_CREAT | os.O_WRONLY))

    return heard


def _open_files() -> set[int]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that by which the list was read
            os.fstat(int(name))
            found.add(int(name))
    return found
