"""One run of the warm runner: a child that is bounded and watched, and cleared away with everything that it started.

How far the child is kept apart is the ``level``: ``nested`` is a room of its own (`room`), so that nothing can outlive it;
``shared`` is the sandbox that the zygote stands in, cleared after each run; ``limits`` is neither. Standard library only,
Linux only.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import base64
import contextlib
import os
import select
import signal
import socket
import time
from typing import Any

from . import around, linux
from .capped import Capped
from .launch import bound
from .room import FOLDERS, MOST_REPORT_BYTES, Room

MODULES = ".modules"  # beside the report: the modules that a run had at its end
_LOOK_SECONDS = 0.04
_POLL_SECONDS = 0.004


class Run:
    """What the zygote knows of the run that goes on. ``room`` is there at level ``nested``."""

    def __init__(self, control: socket.socket, order: dict[str, Any], level: str, room: Room | None) -> None:
        self.control = control
        self.order = order
        self.level = level
        self.room = room
        self.limits: dict[str, Any] = order["limits"]
        self.proc = room.processes if room else "/proc"
        if room:
            order["settings"]["report"] = os.path.join(room.report_folder, "report.json")
        self.ended: tuple[int, Any] | None = None

    def fork(self) -> bool:
        """Fork the child; True in it, ready to run the tests."""
        self.others = len(around.processes(self.proc))
        if not self.room:
            os.makedirs(os.path.dirname(self.order["settings"]["report"]), exist_ok=True)
            for name in FOLDERS:
                os.makedirs(os.path.join(self.order["place"], name), exist_ok=True)
        self.reading, writing = os.pipe()
        self.began = time.monotonic()
        self.child = self.room.fork() if self.room else os.fork()
        if self.child:
            os.close(writing)
            return False
        try:
            os.close(self.reading)
            self._become(writing)
        except BaseException as error:
            for output in (writing, 1):  # which of the two leads out depends on how far it came
                with contextlib.suppress(OSError):
                    os.write(output, f"the run could not be set up: {error!r}\n".encode())
            os._exit(70)
        return True

    def _become(self, output: int) -> None:
        linux.die_with_parent()
        os.setsid()
        _take_over(output)
        os.close(self.control.detach())
        if self.room:
            self.room.enter()
        for relative, data in self.order["files"].items():
            path = os.path.join(self.order["place"], "work", *relative.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(base64.b64decode(data))
        bound(self.limits)
        if self.room:
            linux.drop_privilege()
        linux.filter_calls()
        linux.set_readable(True)
        os.chdir(self.order["cwd"])

    # -- in the parent ------------------------------------------------------------------------------------------------

    def follow(self) -> dict[str, Any]:
        """Wait for the child's end, or make one, and say how it went."""
        kept = Capped(self.limits["output_bytes"])
        try:
            over = self._watch(kept)
            seconds = time.monotonic() - self.began
        finally:
            status, used = self._end()
            _drain(self.reading, kept)
            os.close(self.reading)
        report = self.order["settings"]["report"]
        if self.room:
            report = os.path.join(self.room.reports, os.path.basename(report))
        return {
            "exit_code": os.waitstatus_to_exitcode(status),
            "output": kept.text(),
            "cut_bytes": kept.cut,
            "over": over,
            "seconds": seconds,
            "cpu_seconds": used.ru_utime + used.ru_stime,
            "peak_bytes": used.ru_maxrss * 1024,
            "report": around.read_plain(report, MOST_REPORT_BYTES),
            "modules": around.read_plain(report + MODULES, MOST_REPORT_BYTES) if self.order.get("learn") else None,
        }

    def _watch(self, kept: Capped) -> str:
        """Until the child has ended, or met a limit: its name then, empty otherwise."""
        deadline = self.began + self.limits["wall_seconds"]
        look = self.began + _LOOK_SECONDS
        watched: list[Any] = [self.reading, self.control]
        step = _POLL_SECONDS
        ending = None
        with contextlib.suppress(AttributeError, OSError):  # an old kernel: polled
            ending = os.pidfd_open(self.child)
            watched.append(ending)
            step = _LOOK_SECONDS
        try:
            while True:
                now = time.monotonic()
                if now >= deadline:
                    return "wall"
                ready = select.select(watched, [], [], min(step, deadline - now))[0]
                if self.reading in ready:
                    data = os.read(self.reading, 65_536)
                    kept.feed(data)
                    if not data:
                        watched.remove(self.reading)
                if self.control in ready:  # nobody waits for the answer any more
                    self._end()
                    os._exit(1)
                if self._has_ended():
                    return ""
                if now >= look:
                    over = self._over()
                    if over:
                        return over
                    look = time.monotonic() + _LOOK_SECONDS
        finally:
            if ending is not None:
                os.close(ending)

    def _over(self) -> str:
        return "" if self.level == "limits" else around.over(self.proc, self.others, self.limits)

    def _has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _end(self) -> tuple[int, Any]:
        """Kill whatever is left of the run; the status and the usage of the child."""
        if self.ended is None:
            if self.room:
                self.room.kill()
            else:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.child, signal.SIGKILL)
                with contextlib.suppress(ProcessLookupError):  # before it has a group of its own
                    os.kill(self.child, signal.SIGKILL)
            self.ended = os.wait4(self.child, 0)[1:]
            if self.level == "limits":
                around.kill_descendants()
        return self.ended


def _take_over(output: int) -> None:
    """Make ``output`` of everything that leads where our own standard output and error led (faulthandler has a copy)."""
    led = {(s.st_dev, s.st_ino) for s in (os.fstat(1), os.fstat(2))}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found = os.fstat(int(name))
            if (found.st_dev, found.st_ino) in led:
                os.dup2(output, int(name))
    os.close(output)


def _drain(reading: int, kept: Capped) -> None:
    """Take what is still in the pipe; not for ever, should a process beyond reach hold it open."""
    os.set_blocking(reading, False)
    with contextlib.suppress(BlockingIOError):
        while data := os.read(reading, 65_536):
            kept.feed(data)
