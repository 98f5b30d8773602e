"""Whether the process that wrote something is still at work: a run in another window is not one that was killed."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def _begun(pid: int) -> str | None:
    """When the process began, in the kernel's ticks; None where it is gone. ``?`` where the system does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None if Path("/proc/self/stat").exists() else "?"
    # The name in the second field may itself hold blanks and brackets; the state and the rest follow its last bracket.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def this_process() -> str:
    """Name this process on this machine, for `alive` to look up later."""
    return f"{platform.node()} {os.getpid()} {_begun(os.getpid())}"


def alive(process: str) -> bool:
    """Tell whether the process that `this_process` named is still running.

    Of a process on another machine (or in another container), and of any but one's own on Windows, nothing can be
    known: it counts as gone, so that its work can be carried on.
    """
    if process == this_process():
        return True
    node, pid, begun = process.rsplit(" ", 2)
    if node != platform.node() or os.name != "posix" or _begun(int(pid)) != begun:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
