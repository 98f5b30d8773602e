"""The few system calls of Linux that Python's standard library does not have: mounts, namespaces, capabilities.

Runs in the target's interpreter and in ours; standard library only. Everything here raises OSError when the kernel refuses.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import sys
from pathlib import Path
from typing import Any

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
REMOUNT, BIND, REC, PRIVATE = 32, 4096, 16384, 1 << 18
_SET_PDEATHSIG, _SET_DUMPABLE, _SET_SECUREBITS, _SET_CHILD_SUBREAPER, _SET_NO_NEW_PRIVS = 1, 4, 28, 36, 38
_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
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


_FILTERED = {  # machine → (AUDIT_ARCH, the numbers of the calls that a run is refused)
    "x86_64": (0xC000003E, (319, 447, 29, 248, 249, 250, 272, 308, 165, 428, 429, 430, 432, 442, 425, 321, 323, 298)),
    "aarch64": (0xC00000B7, (279, 447, 194, 217, 218, 219, 97, 268, 40, 428, 429, 430, 432, 442, 425, 280, 282, 241)),
}


def filter_calls() -> None:
    """Refuse this process, and all that it starts, the system calls through which a run could leave its bounds; for good.

    These are memory that no limit counts (memfd_create, memfd_secret, shmget), the kernel's key rings, which outlive a run
    (add_key, request_key, keyctl), new namespaces and mounts (unshare, setns, mount, open_tree, move_mount, fsopen, fsmount,
    mount_setattr), and io_uring_setup, bpf, userfaultfd, perf_event_open. They fail as if the kernel did not have them.
    Numbers and format: linux/filter.h, linux/seccomp.h, asm/unistd.h.
    """
    arch, numbers = _FILTERED.get(os.uname().machine, (0, ()))
    if not numbers:
        return
    load, equal, at_least, leave = 0x20, 0x15, 0x35, 0x06
    refuse, allow = 0x00050000 | errno.ENOSYS, 0x7FFF0000
    steps = [(load, 0, 0, 4), (equal, 1, 0, arch), (leave, 0, 0, refuse), (load, 0, 0, 0)]
    steps += [(at_least, len(numbers) + 1, 0, 0x40000000)]  # the numbers of the x32 interface
    steps += [(equal, len(numbers) - i, 0, number) for i, number in enumerate(numbers)]
    steps += [(leave, 0, 0, allow), (leave, 0, 0, refuse)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HP", len(steps), ctypes.addressof(code)))
    call("prctl", _SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call("prctl", _SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0)


def mounts() -> list[tuple[str, str]]:
    """Every mount point with its options."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        fields = line.split()
        target = fields[4].encode("utf-8", "surrogateescape").decode("unicode_escape").encode("latin-1")
        found.append((os.fsdecode(target), fields[5]))
    return found


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies."""
    call("prctl", _SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def set_readable(readable: bool) -> None:
    """Whether another process of the same user may look into this one (its memory, its environment, its files)."""
    call("prctl", _SET_DUMPABLE, int(readable), 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies."""
    call("prctl", _SET_CHILD_SUBREAPER, 1, 0, 0, 0)
