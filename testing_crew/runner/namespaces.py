"""A sandbox from Linux's user namespaces alone, for machines without bubblewrap.

A script, run by our own interpreter in a process of its own: ``python -I -S namespaces.py PLAN``, with PLAN as JSON from
`sandbox.wrap`. It needs no privilege and no helper program. Standard library only. It ends with the exit status of the
command, or 128 plus the number of the signal that killed it.

The order matters. First every mount becomes read-only, so that each later bind of a part of it is born read-only; then what
must come back is held by descriptors, since the paths to it disappear; then folders are covered; then the held parts return.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _NOATIME, _NODIRATIME = 1, 2, 4, 8, 1024, 2048
_REMOUNT, _BIND, _REC, _PRIVATE, _RELATIME = 32, 4096, 16384, 1 << 18, 1 << 21
_OPTIONS = {
    "ro": _RDONLY,
    "nosuid": _NOSUID,
    "nodev": _NODEV,
    "noexec": _NOEXEC,
    "noatime": _NOATIME,
    "nodiratime": _NODIRATIME,
    "relatime": _RELATIME,
}
_SET_PDEATHSIG, _CAPBSET_DROP, _SET_NO_NEW_PRIVS = 1, 24, 38
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _call(name: str, *arguments: Any) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{arguments}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    _call("mount", *encoded, ctypes.c_ulong(flags), None if data is None else data.encode())


def _new_namespaces() -> None:
    uid, gid = os.getuid(), os.getgid()
    _call("unshare", _NEWUSER | _NEWNS | _NEWPID | _NEWNET | _NEWIPC | _NEWUTS)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def _mounts() -> list[tuple[str, int]]:
    """Every mount point with its flags, which a remount inside a user namespace may not drop."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        fields = line.split()
        target = fields[4].encode("utf-8", "surrogateescape").decode("unicode_escape").encode("latin-1")
        flags = sum(_OPTIONS.get(option, 0) for option in fields[5].split(","))
        found.append((os.fsdecode(target), flags))
    return found


def _make_read_only(scratch: str) -> None:
    for target, flags in _mounts():
        if target == scratch or flags & _RDONLY:
            continue
        try:
            _mount("none", target, None, _REMOUNT | _BIND | _RDONLY | flags)
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
    _mount(f"/proc/self/fd/{descriptor}", path, None, _BIND | (_REC if folder else 0))


def _furnish(plan: dict[str, Any]) -> None:
    """Build the view that the command will have."""
    scratch = plan["scratch"]
    _mount("none", "/", None, _REC | _PRIVATE)
    _mount(scratch, scratch, None, _BIND)
    _make_read_only(scratch)
    held = [(_hold(path), path, os.path.isdir(path)) for path in plan["restored"]]
    held.append((_hold(scratch), scratch, True))
    own_tmp = _hold(plan["slash_tmp"])
    devices = [(_hold(f"/dev/{name}"), f"/dev/{name}") for name in _DEVICES if os.path.exists(f"/dev/{name}")]
    _mount("tmpfs", "/dev", "tmpfs", _NOSUID | _NOEXEC, "mode=755,size=256m")
    for descriptor, path in devices:
        _give_back(descriptor, path, folder=False)
    for name, target in _LINKS.items():
        os.symlink(target, f"/dev/{name}")
    os.mkdir("/dev/shm", 0o1777)
    for folder in plan["hidden"]:
        _mount("tmpfs", folder, "tmpfs", _NOSUID | _NODEV, "mode=755,size=1m")
    if plan["private_tmp"]:
        _mount(f"/proc/self/fd/{own_tmp}", "/tmp", None, _BIND)
    for descriptor, path, is_folder in held:
        _give_back(descriptor, path, folder=is_folder)
    for folder in plan["hidden"]:
        _mount("none", folder, None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)
    for descriptor in [own_tmp, *(d for d, *_ in held), *(d for d, _ in devices)]:
        os.close(descriptor)
    # Read-only, for /proc/sys obeys the user's number and not capabilities: root could change the machine through it.
    _mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC | _RDONLY)


def _loopback_up() -> None:
    SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        fcntl.ioctl(one, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP | IFF_RUNNING))


def _drop_privilege() -> None:
    """Without these, root in the namespace could undo the mounts."""
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        _call("prctl", _CAPBSET_DROP, capability, 0, 0, 0)
    _call("prctl", _SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _follow(child: int) -> int:
    """Reap until ``child`` ends (as the first process of a namespace must) and return its exit status as a shell would."""
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def main(plan: dict[str, Any]) -> int:
    """Run the plan's command inside; returns its exit status."""
    _new_namespaces()
    _call("prctl", _SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # after: new credentials would undo it
    first = os.fork()
    if first:
        return _follow(first)
    _call("prctl", _SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _furnish(plan)
    _loopback_up()
    _drop_privilege()
    os.chdir(plan["cwd"])
    second = os.fork()
    if second:
        os._exit(_follow(second))
    os.setsid()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execv(plan["command"][0], plan["command"])


if __name__ == "__main__":
    raise SystemExit(main(json.loads(sys.argv[1])))
