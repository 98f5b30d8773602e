"""The few system calls of Linux that Python's standard library does not have: mounts, namespaces, capabilities.

Runs in the target's interpreter and in ours; standard library only. Everything here raises OSError when the kernel refuses.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
REMOUNT, BIND, REC, PRIVATE = 32, 4096, 16384, 1 << 18
_SET_PDEATHSIG, _SET_DUMPABLE, _SET_SECUREBITS, _SET_CHILD_SUBREAPER, _SET_NO_NEW_PRIVS = 1, 4, 28, 36, 38
_CAP_AMBIENT, _CAP_AMBIENT_RAISE = 47, 2
_CAP_SETPCAP, _CAP_SYS_CHROOT, _CAP_SYS_ADMIN = 8, 18, 21
_NO_ROOT_LOCKED = 3
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def call(name: str, *arguments: Any) -> None:
    """Call the C library's ``name``; raises OSError with its errno when it fails."""
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{arguments}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Put ``source`` into the file system at ``target``, as the system call of that name does."""
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    call("mount", *encoded, ctypes.c_ulong(flags), None if data is None else data.encode())


def fork_first() -> int:
    """Fork a child that is the first process of a process-id namespace of its own; asks for the kept privilege."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    call("unshare", NEWPID)  # for children only
    child = os.fork()
    if child:
        call("setns", own, NEWPID)  # the next one gets another
    os.close(own)
    return child


def fork_into(pids: int) -> int:
    """Fork a child into the process-id namespace that is open as ``pids``; asks for the kept privilege."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        call("setns", pids, NEWPID)  # for children only
        child = os.fork()
        if child:
            call("setns", own, NEWPID)
    finally:
        os.close(own)
    return child


def new_namespaces(flags: int) -> None:
    """Move into a user namespace of our own, and into the others of ``flags``; user and group keep their numbers.

    A process-id namespace holds for the children only.
    """
    uid, gid = os.getuid(), os.getgid()
    call("unshare", NEWUSER | flags)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def drop_privilege() -> None:
    """Give up every capability for good, in this process and in what it will execute."""
    call("prctl", _SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call("prctl", _SET_SECUREBITS, _NO_ROOT_LOCKED, 0, 0, 0)  # so that user number 0 is a user like any other
    _set_capabilities(0, 0)


def keep_privilege() -> None:
    """Let what will be executed have the capabilities that making and entering namespaces and `drop_privilege` ask for."""
    kept = (_CAP_SETPCAP, _CAP_SYS_CHROOT, _CAP_SYS_ADMIN)
    _set_capabilities(*[sum(1 << capability for capability in kept)] * 2)
    for capability in kept:
        call("prctl", _CAP_AMBIENT, _CAP_AMBIENT_RAISE, capability, 0, 0)


def _set_capabilities(permitted: int, inheritable: int) -> None:
    """All of the numbers are below 32."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    call("capset", header, (ctypes.c_uint32 * 6)(permitted, permitted, inheritable, 0, 0, 0))


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies."""
    call("prctl", _SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def set_readable(readable: bool) -> None:
    """Whether another process of the same user may look into this one (its memory, its environment, its files)."""
    call("prctl", _SET_DUMPABLE, int(readable), 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies."""
    call("prctl", _SET_CHILD_SUBREAPER, 1, 0, 0, 0)
