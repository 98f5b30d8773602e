"""One run of the warm runner: a child that is bounded and watched, and cleared away with everything that it started.

The zygote forks a supervisor for each run, ahead of it where it can, and the supervisor forks the child that runs the tests.
How far the child is kept apart is the ``level``: ``nested`` is namespaces of the run's own (its files in a small file system
in memory, its processes numbered for themselves), so that nothing can outlive it; ``shared`` is the sandbox that the zygote
stands in, cleared after each run; ``limits`` is neither. Standard library only, Linux only.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import base64
import contextlib
import os
import select
import signal
import socket
import stat
import sys
import time
from typing import Any, NoReturn

from . import around, linux
from .capped import Capped
from .launch import bound
from .messages import receive, send

FOLDERS = ("work", "home", "tmp", "slash-tmp", "shm")
MODULES = ".modules"  # beside the report: the modules that a run had at its end
MOST_REPORT_BYTES = 64 * 2**20
_MOST_FILES = 65_536
_LOOK_SECONDS = 0.04
_POLL_SECONDS = 0.004


def supervise(control: socket.socket, shop: dict[str, Any], taken: int) -> dict[str, Any]:
    """The life of a supervisor, in a fork of the zygote: make ready, await an order, have it run, answer, end.

    ``shop`` says what all runs here have in common: ``level``, ``place``, ``covered``, ``disk_bytes``. A byte is written to
    ``taken`` when there is an order. Returns only in the child that is to run the tests: its order.
    """
    try:
        run = _Run(control, shop)
        fault = ""
    except Exception as error:  # told to the other side, which runs cold in its place
        fault = f"{type(error).__name__}: {error}"
    order = receive(control)
    if order is None:
        os._exit(0)
    os.write(taken, b"x")
    os.close(taken)
    answer: dict[str, Any] = {"error": fault}
    if not fault:
        try:
            if run.fork(order):
                return order
            answer = run.follow()
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
    with contextlib.suppress(OSError):
        send(control, answer)
    os._exit(0)


class _Run:
    """What a supervisor knows of its run."""

    def __init__(self, control: socket.socket, shop: dict[str, Any]) -> None:
        linux.die_with_parent()
        self.control = control
        self.level: str = shop["level"]
        self.place: str = shop["place"]
        self.ended: tuple[int, Any] | None = None
        if self.level == "nested":
            _enter(self.place, shop["disk_bytes"], shop["covered"])
        elif self.level == "limits":
            linux.adopt_orphans()
        for name in FOLDERS:
            os.makedirs(os.path.join(self.place, name), exist_ok=True)

    def fork(self, order: dict[str, Any]) -> bool:
        """Fork the child; True in it, ready to run the tests."""
        self.order = order
        self.limits: dict[str, Any] = order["limits"]
        self._furnish()
        self.others = around.count()
        reading, writing = os.pipe()
        self.reading = reading
        self.began = time.monotonic()
        self.child = os.fork()
        if self.child:
            os.close(writing)
            return False
        try:
            os.close(reading)
            self._become(writing)
        except BaseException as error:
            os.write(writing, f"the run could not be set up: {error!r}\n".encode())
            os._exit(70)
        return True

    def _furnish(self) -> None:
        folder = os.path.dirname(self.order["settings"]["report"])
        os.mkdir(folder)
        if self.level == "nested":  # room for the report when the run has filled its own
            linux.mount("tmpfs", folder, "tmpfs", linux.NOSUID | linux.NODEV, f"size={2 * MOST_REPORT_BYTES},mode=700")
        for relative, data in self.order["files"].items():
            path = os.path.join(self.place, "work", *relative.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(base64.b64decode(data))

    def _become(self, output: int) -> None:
        os.setsid()
        _take_over(output)
        os.close(self.control.detach())
        bound(self.limits)
        if self.level == "nested":
            linux.drop_privilege()
        linux.set_readable(True)
        os.chdir(self.order["cwd"])

    # -- in the supervisor --------------------------------------------------------------------------------------------

    def follow(self) -> dict[str, Any]:
        """Wait for the child's end, or make one, and say how it went."""
        kept = Capped(self.limits["output_bytes"])
        over = self._watch(kept)
        seconds = time.monotonic() - self.began
        usage = self._end()
        _drain(self.reading, kept)
        status, used = usage
        report = self.order["settings"]["report"]
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
        with contextlib.suppress(AttributeError, OSError):  # an old kernel: polled
            watched.append(os.pidfd_open(self.child))
            step = _LOOK_SECONDS
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

    def _over(self) -> str:
        """The limit that all processes of the run together have passed; the kernel's own limits know single processes."""
        if self.level == "limits":
            return ""
        running = around.count() - self.others
        if running > self.limits["processes"]:
            return "processes"
        if running > 1 and around.memory(exact=False) > self.limits["memory_bytes"] < around.memory(exact=True):
            return "memory"
        return ""

    def _has_ended(self) -> bool:
        """Whether the child has; orphans that came to us are reaped on the way."""
        if self.level != "nested":
            return os.waitid(os.P_PID, self.child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        while self.ended is None:
            ended, status, usage = os.wait4(-1, os.WNOHANG)
            if not ended:
                return False
            if ended == self.child:
                self.ended = status, usage
        return True

    def _end(self) -> tuple[int, Any]:
        """Kill whatever is left of the run; the status and the usage of the child."""
        if self.level == "nested":
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # all of the namespace whose first process we are
            with contextlib.suppress(ChildProcessError):
                while True:
                    ended, status, usage = os.wait4(-1, 0)
                    if ended == self.child:
                        self.ended = status, usage
            assert self.ended is not None
            return self.ended
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):  # before it has a group of its own
            os.kill(self.child, signal.SIGKILL)
        _, status, usage = os.wait4(self.child, 0)
        if self.level == "limits":
            around.kill_descendants()
        return status, usage


def _enter(place: str, disk_bytes: int, covered: dict[str, str]) -> None:
    """Move into namespaces of our own, in which ``place`` is new and empty and only our own processes are to be seen.

    ``covered`` maps a folder of ``place`` to the one that it stands for in there.
    """
    linux.call("unshare", linux.NEWNS | linux.NEWIPC)
    options = f"size={disk_bytes},nr_inodes={_MOST_FILES},mode=700"
    linux.mount("tmpfs", place, "tmpfs", linux.NOSUID | linux.NODEV, options)
    for name in covered:
        os.mkdir(os.path.join(place, name))
    for name, target in covered.items():
        _cover(target, os.path.join(place, name))
    linux.mount("proc", "/proc", "proc", linux.NOSUID | linux.NODEV | linux.NOEXEC | linux.RDONLY)


def _cover(target: str, source: str) -> None:
    """Put ``source`` in the place of ``target``, and what was mounted in there back into it."""
    held = [(os.open(os.path.join(target, name), os.O_PATH), name) for name in os.listdir(target)]
    linux.mount(source, target, None, linux.BIND)
    for descriptor, name in held:
        path = os.path.join(target, name)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.mkdir(path)
        else:
            os.close(os.open(path, os.O_CREAT))
        linux.mount(f"/proc/self/fd/{descriptor}", path, None, linux.BIND | linux.REC)
        os.close(descriptor)


def try_nested() -> NoReturn:
    """Whether all this works here: exit status 7 when it does. The last argument is a folder with a folder ``run``."""
    place = os.path.join(sys.argv[-1], "run")
    for _ in range(2):  # one run after the other
        first = linux.fork_first()
        if not first:
            _enter(place, 2**20, {"slash-tmp": "/tmp"})
            with open(os.path.join(place, "slash-tmp", "x"), "w") as file:
                file.write("x")
            alone = around.processes() == ["1"]
            linux.drop_privilege()
            os._exit(7 if alone else 1)
        status = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    os._exit(status)


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
