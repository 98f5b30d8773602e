"""What a zygote sees around a run, and clears away: processes, their memory, folders. Standard library only.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import time
from typing import Any


def clear(folders: list[str], kept: list[str]) -> None:
    """Empty the folders that runs share, whatever the last one left there, but for the paths in ``kept`` and what they hold."""
    for folder in folders:
        with contextlib.suppress(OSError):
            os.chmod(folder, 0o700)
        for path in [os.path.join(folder, name) for name in _names(folder)]:
            if path in kept:
                continue
            if any(each.startswith(path + os.sep) for each in kept):
                clear([path], kept)
            else:
                remove(path)


def remove(path: str) -> None:
    """Remove a file, or a folder with all that is in it, as `clear` does; one that is not there is no error."""
    try:
        shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):
        for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
            with contextlib.suppress(OSError):  # no such program
                subprocess.run([*command, "--", path], capture_output=True, check=False)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def read_plain(path: str, most_bytes: int) -> str | None:
    """The text of a plain file of at most ``most_bytes``; None for anything else that a run may have left in its place."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > most_bytes:
            return None
        pieces = iter(lambda: os.read(descriptor, 2**20), b"")
        return b"".join(pieces)[:most_bytes].decode("utf-8", "backslashreplace")
    except OSError:
        return None
    finally:
        os.close(descriptor)


def processes(proc: str = "/proc") -> list[str]:
    """The numbers of all processes that ``proc`` shows."""
    return [name for name in os.listdir(proc) if name.isdigit()]


def over(proc: str, others: int, limits: dict[str, Any]) -> str:
    """The limit that all processes of a run together have passed; the kernel's own limits know single processes.

    ``others`` is how many of the processes that ``proc`` shows are not the run's. Threads count as processes.
    """
    names = processes(proc)
    running = -others
    for name in names:
        with contextlib.suppress(OSError):  # it has just ended
            running += len(os.listdir(f"{proc}/{name}/task"))
    if running > limits["processes"]:
        return "processes"
    most = limits["memory_bytes"]
    if len(names) > others + 1 and memory(proc, exact=False) > most < memory(proc, exact=True):
        return "memory"
    return ""


def memory(proc: str, *, exact: bool) -> int:
    """Bytes of memory of those processes that are not files; pages that forks share count once where ``exact``."""
    total = 0
    for name in processes(proc):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if exact:
                with open(f"{proc}/{name}/smaps_rollup") as file:
                    total += sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss_Anon:"))
            else:
                with open(f"{proc}/{name}/statm") as file:
                    fields = file.read().split()
                total += (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")
    return total


def kill_descendants() -> None:
    """Kill every process that descends from us (orphans come back to us), until a look around finds none."""
    while True:
        parents = {}
        for name in processes():
            with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat") as file:
                parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
        ours = {os.getpid()}
        while more := {pid for pid, parent in parents.items() if parent in ours and pid not in ours}:
            ours |= more
        ours.discard(os.getpid())
        for pid in ours:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not ours:
            return
        time.sleep(0.004)
