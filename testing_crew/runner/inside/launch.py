"""The first thing that runs in a cold child: bound the process, then hand over to pytest.

Run by the target's own interpreter inside the sandbox. The limits are set here and not before the sandbox starts, so that
the number of processes is counted in the sandbox's own user namespace, and because a hook between fork and exec is unsafe in
a program with threads. pytest runs in a fork, so that what it used is known however it dies: a sandbox does not pass that on.
Standard library only.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import signal
import sys
import time
from typing import Any

from . import around

_STEP_SECONDS = 0.04
VARIABLE = "TESTING_CREW_PROBE"  # the path of the settings, which are JSON
USAGE = ".usage"


def bound(limits: dict[str, Any]) -> None:
    """Limit this process and what it will start, as far as the system knows such limits."""
    try:
        import resource
    except ImportError:
        return
    wanted = {
        "RLIMIT_CPU": (limits["cpu_seconds"], limits["cpu_seconds"] + 2),
        "RLIMIT_AS": (limits["memory_bytes"],) * 2,
        "RLIMIT_FSIZE": (limits["file_bytes"],) * 2,
        "RLIMIT_NPROC": (limits["process_limit"],) * 2,
        "RLIMIT_CORE": (0, 0),
    }
    for name, (soft, hard) in wanted.items():
        number = getattr(resource, name, None)
        if number is None or soft is None:
            continue
        ceiling = resource.getrlimit(number)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        try:
            resource.setrlimit(number, (soft, hard))
        except (OSError, ValueError):  # a system that does not know this limit; the wall time still holds
            continue


def _die_with_parent() -> None:
    if sys.platform == "linux":
        from .linux import die_with_parent

        die_with_parent()


def _filter_calls() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError):  # a Python without ctypes, a kernel without filters
            from .linux import filter_calls

            filter_calls()


def _fork_and_follow(note: str, limits: dict[str, Any], alone: bool) -> None:
    """Go on in a fork. The parent writes ``[CPU seconds, peak bytes, limit passed]`` to ``note`` and ends as the fork did.

    Where all processes in view are ours or our ancestors (``alone``), the limits hold for all of them together.
    """
    others = len(around.processes()) if alone else 0
    child = os.fork()
    if not child:
        return
    over = ""
    while alone and not over and not _ends_within(child, _STEP_SECONDS):
        over = around.over("/proc", others, limits)
    if over:
        os.kill(-1, signal.SIGKILL)  # all but us and the first process
    _, status, usage = os.wait4(child, 0)
    unit = 1 if sys.platform == "darwin" else 1024
    with open(note, "w") as file:
        json.dump([usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit, over], file)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)


def _ends_within(child: int, seconds: float) -> bool:
    try:
        ending = os.pidfd_open(child)
    except (AttributeError, OSError):  # an old kernel
        time.sleep(seconds)
    else:
        select.select([ending], [], [], seconds)
        os.close(ending)
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def hear_interrupts() -> None:
    """Be interruptible as any Python is, also where a shell had started our own ancestors in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def become_pytest() -> None:
    """Make the main module look as it does under ``python -m pytest``.

    The children that multiprocessing spawns run their parent's main module again, unless it is a package's ``__main__``.
    """
    main = sys.modules["__main__"]
    spec = importlib.util.find_spec("pytest.__main__")
    if spec is not None and spec.origin is not None:
        main.__spec__, main.__package__, main.__file__ = spec, spec.parent, spec.origin
        sys.argv[0] = spec.origin


def main() -> int:
    """Set the limits that the settings name and run pytest with this process's arguments."""
    hear_interrupts()
    with open(os.environ[VARIABLE], encoding="utf-8") as file:
        settings = json.load(file)
    bound(settings["limits"])
    _filter_calls()
    if settings["die_with_parent"]:
        _die_with_parent()
    if hasattr(os, "fork"):
        _fork_and_follow(settings["report"] + USAGE, settings["limits"], settings["alone"])
        if settings["die_with_parent"]:
            _die_with_parent()
    sys.path += settings["behind"]
    import pytest

    become_pytest()
    os.write(1, settings["started"].encode())  # from here on, what goes wrong is the test file's doing
    return int(pytest.main())
