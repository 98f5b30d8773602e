"""A room for one run: namespaces of its own, with a small file system in memory, in which nothing can outlive it.

A small process, the keeper, is forked before pytest is imported. For each run it forks the first process of a new namespace
of process numbers, which furnishes the room, hands it to the zygote as open files and waits there to be killed; with it goes
everything in the room. The zygote forks the run into it. So what is dear to fork (a zygote with pytest in it) is forked once
a run, and the next room is made ready between runs. Standard library only, Linux only.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import stat
import sys
from typing import NoReturn

from . import linux

FOLDERS = ("work", "home", "tmp", "slash-tmp", "shm")
MOST_REPORT_BYTES = 64 * 2**20
_MOST_FILES = 65_536
_OPENED = 5  # files that a room is handed over as


class Room:
    """A room that is ready, from outside: ``processes`` and ``reports`` are folders in it that can be read from here.

    ``report_folder`` is where the second of them stands for the run itself.
    """

    def __init__(self, report_folder: str, opened: list[int]) -> None:
        self.report_folder = report_folder
        self._opened = opened
        self._first, self._pids, self._mounts, processes, reports = opened
        self.processes = f"/proc/self/fd/{processes}"
        self.reports = f"/proc/self/fd/{reports}"

    def fork(self) -> int:
        """`os.fork`, whose child is in the room once it has called `enter`."""
        return linux.fork_into(self._pids)

    def enter(self) -> None:
        """See the room's files and not those outside."""
        linux.call("setns", self._mounts, linux.NEWNS)
        linux.call("unshare", linux.NEWIPC)
        for descriptor in self._opened:
            os.close(descriptor)

    def kill(self) -> None:
        """Kill every process in the room. Our own child among them remains to be waited for."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._first, signal.SIGKILL)

    def leave(self) -> None:
        """Wait until nothing of the room is left but what was opened of it, and close that."""
        select.select([self._first], [], [])
        for descriptor in self._opened:
            os.close(descriptor)


class Rooms:
    """Makes rooms in ``place``: the first at once, each other when asked to `prepare` it.

    ``covered`` maps a folder of the room to the one that it stands for in there.

    To be called before much is imported: the process it forks should be small.
    """

    def __init__(self, place: str, covered: dict[str, str], disk_bytes: int, *unwanted: socket.socket) -> None:
        self._ours, theirs = socket.socketpair()
        if not os.fork():
            for each in (self._ours, *unwanted):
                each.close()
            _keep(theirs, place, covered, disk_bytes)
        theirs.close()

    def take(self) -> Room:
        """The next room; raises OSError when none can be made here."""
        said, opened, _, _ = socket.recv_fds(self._ours, 4096, _OPENED)
        if len(opened) != _OPENED:
            raise OSError(said.decode("utf-8", "replace") or "the keeper of the rooms has ended")
        return Room(said.decode(), opened)

    def close(self) -> None:
        """Make no more of them: for the child of a run, which must not reach those of others."""
        self._ours.close()

    def prepare(self) -> None:
        """Have the next one made ready."""
        self._ours.send(b"n")


def _keep(wanted: socket.socket, place: str, covered: dict[str, str], disk_bytes: int) -> NoReturn:
    """The keeper's life: a room, and the next when it is asked for."""
    linux.die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which a run might send to the first process of its room
    while True:
        try:
            first = linux.fork_first()
        except OSError as error:
            wanted.send(f"{error}".encode())
            os._exit(1)
        if not first:
            _wait_in(wanted, place, covered, disk_bytes)
        if not wanted.recv(1):
            os._exit(0)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _wait_in(wanted: socket.socket, place: str, covered: dict[str, str], disk_bytes: int) -> NoReturn:
    """The life of the first process of a room."""
    try:
        linux.die_with_parent()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans come to us, and are gone then
        folder = _furnish(place, covered, disk_bytes)
        opened = [
            os.pidfd_open(os.getpid()),
            os.open("/proc/self/ns/pid", os.O_RDONLY),
            os.open("/proc/self/ns/mnt", os.O_RDONLY),
            os.open("/proc", os.O_RDONLY | os.O_DIRECTORY),
            os.open(folder, os.O_RDONLY | os.O_DIRECTORY),
        ]
        socket.send_fds(wanted, [os.fsencode(folder)], opened)
    except Exception as error:  # told to the other side, which runs cold in its place
        wanted.send(f"{type(error).__name__}: {error}".encode())
        os._exit(1)
    wanted.close()
    while True:
        signal.pause()


def _furnish(place: str, covered: dict[str, str], disk_bytes: int) -> str:
    """Cover ``place`` with a new and empty file system of our own; the folder in it for the report of the run."""
    linux.call("unshare", linux.NEWNS)
    options = f"size={disk_bytes},nr_inodes={_MOST_FILES},mode=700"
    linux.mount("tmpfs", place, "tmpfs", linux.NOSUID | linux.NODEV, options)
    folder = os.path.join(place, f"report-{os.urandom(8).hex()}")
    for path in (folder, *(os.path.join(place, name) for name in FOLDERS)):
        os.mkdir(path)
    for name, target in covered.items():
        _cover(target, os.path.join(place, name))
    linux.mount("proc", "/proc", "proc", linux.NOSUID | linux.NODEV | linux.NOEXEC | linux.RDONLY)
    options = f"size={2 * MOST_REPORT_BYTES},mode=700"  # room for the report when the run has filled its own
    linux.mount("tmpfs", folder, "tmpfs", linux.NOSUID | linux.NODEV, options)
    return folder


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


def trial() -> NoReturn:
    """Whether all this works here: exit status 7 when it does. The last argument is a folder with a folder ``run``."""
    rooms = Rooms(os.path.join(sys.argv[-1], "run"), {"slash-tmp": "/tmp"}, 2**20)
    status = 1
    for _ in range(2):  # one run after the other
        room = rooms.take()
        child = room.fork()
        if not child:
            room.enter()
            with open("/tmp/x", "x") as file:
                file.write("x")
            alone = [name for name in os.listdir("/proc") if name.isdigit()] == ["1", "2"]
            linux.drop_privilege()
            os._exit(7 if alone and not _may_write("/etc/tcrew-mark") else 1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        room.kill()
        room.leave()
        rooms.prepare()
    os._exit(status)


def _may_write(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    except OSError:
        return False
    os.unlink(path)
    return True
