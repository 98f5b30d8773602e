"""A sandbox from Linux's user namespaces alone, for machines without bubblewrap.

Run by our own interpreter in a process of its own, with a plan as JSON from `sandbox.wrap`. It needs no privilege and no
helper program. Standard library only. It ends with the exit status of the command, or 128 plus the number of the signal that
killed it.

The order matters. First every mount becomes read-only, so that each later bind of a part of it is born read-only; then what
must come back is held by descriptors, since the paths to it disappear; then folders are covered; then the held parts return.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any

from .linux import (
    BIND,
    NEWIPC,
    NEWNET,
    NEWNS,
    NEWPID,
    NEWUTS,
    NODEV,
    NOEXEC,
    NOSUID,
    PRIVATE,
    RDONLY,
    REC,
    REMOUNT,
    die_with_parent,
    drop_privilege,
    keep_privilege,
    mount,
    mounts,
    new_namespaces,
)

_NOATIME, _NODIRATIME, _RELATIME = 1024, 2048, 1 << 21
_OPTIONS = {
    "ro": RDONLY,
    "nosuid": NOSUID,
    "nodev": NODEV,
    "noexec": NOEXEC,
    "noatime": _NOATIME,
    "nodiratime": _NODIRATIME,
    "relatime": _RELATIME,
}
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}


def _mounts() -> list[tuple[str, int]]:
    """Every mount point with its flags, which a remount inside a user namespace may not drop."""
    return [(target, sum(_OPTIONS.get(o, 0) for o in options.split(","))) for target, options in mounts()]


def _make_read_only(scratch: str) -> None:
    for target, flags in _mounts():
        if target == scratch or flags & RDONLY:
            continue
        try:
            mount("none", target, None, REMOUNT | BIND | RDONLY | flags)
        except OSError:
            # A mount that another one covers has no path any more, and nobody else can reach it either.
            if os.path.exists(target) and not os.statvfs(target).f_flag & os.ST_RDONLY:
                raise


def _hold(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def _give_back(descriptor: int, path: str, *, folder: bool) -> None:
    place = Path(path)
    if folder:
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    mount(f"/proc/self/fd/{descriptor}", path, None, BIND | (REC if folder else 0))


def _furnish(plan: dict[str, Any]) -> None:
    """Build the view that the command will have."""
    scratch = plan["scratch"]
    mount("none", "/", None, REC | PRIVATE)
    writable = plan["slash_tmp"] if plan["nested"] else scratch
    mount(writable, writable, None, BIND)
    _make_read_only(writable)
    held = []
    for path in plan["restored"]:
        with contextlib.suppress(FileNotFoundError):  # gone since somebody looked
            held.append((_hold(path), path, os.path.isdir(path)))
    held.append((_hold(scratch), scratch, True))
    own_tmp, own_shm = _hold(plan["slash_tmp"]), _hold(plan["shm"])
    tmp_flags = dict(_mounts()).get(writable, 0)
    devices = [(_hold(f"/dev/{name}"), f"/dev/{name}") for name in _DEVICES if os.path.exists(f"/dev/{name}")]
    mount("tmpfs", "/dev", "tmpfs", NOSUID | NOEXEC, "mode=755,size=256m")
    for descriptor, path in devices:
        _give_back(descriptor, path, folder=False)
    for name, target in _LINKS.items():
        os.symlink(target, f"/dev/{name}")
    os.mkdir("/dev/shm", 0o1777)
    for folder in plan["hidden"]:
        mount("tmpfs", folder, "tmpfs", NOSUID | NODEV, "mode=755,size=1m")
    if plan["private_tmp"]:
        mount(f"/proc/self/fd/{own_tmp}", "/tmp", None, BIND)
    for descriptor, path, is_folder in held:
        _give_back(descriptor, path, folder=is_folder)
    for folder in plan["hidden"]:
        mount("none", folder, None, REMOUNT | BIND | RDONLY | NOSUID | NODEV)
    if plan["nested"] and plan["private_tmp"]:
        mount("none", "/tmp", None, REMOUNT | BIND | RDONLY | tmp_flags)
    if plan["nested"]:  # what starts the runs has this one folder to write to, which each run will cover
        mount("tmpfs", "/dev/shm", "tmpfs", NOSUID | NODEV, "mode=1777,size=64m")
        mount("none", plan["slash_tmp"], None, REMOUNT | BIND | RDONLY | tmp_flags)
    else:
        mount(f"/proc/self/fd/{own_shm}", "/dev/shm", None, BIND)
    mount("none", "/dev", None, REMOUNT | BIND | RDONLY | NOSUID | NOEXEC)
    for descriptor in [own_tmp, own_shm, *(d for d, *_ in held), *(d for d, _ in devices)]:
        os.close(descriptor)
    # Read-only, for /proc/sys obeys the user's number and not capabilities: root could change the machine through it.
    mount("proc", "/proc", "proc", NOSUID | NODEV | NOEXEC | RDONLY)


def _loopback_up() -> None:
    SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        fcntl.ioctl(one, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP | IFF_RUNNING))


def _follow(child: int) -> int:
    """Reap until ``child`` ends (as the first process of a namespace must) and return its exit status as a shell would."""
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def main(plan: dict[str, Any]) -> int:
    """Run the plan's command inside; returns its exit status."""
    new_namespaces(NEWNS | NEWPID | NEWNET | NEWIPC | NEWUTS)
    if plan["follow_parent"]:
        die_with_parent()  # after: new credentials would undo it
    first = os.fork()
    if first:
        return _follow(first)
    die_with_parent()
    _furnish(plan)
    _loopback_up()
    if plan["nested"]:  # there each run gives up its own
        keep_privilege()
    else:
        drop_privilege()
    os.chdir(plan["cwd"])
    second = os.fork()
    if second:
        os._exit(_follow(second))
    os.setsid()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execv(plan["command"][0], plan["command"])


def from_command_line() -> None:
    """Run the plan that the last argument holds."""
    raise SystemExit(main(json.loads(sys.argv[-1])))
