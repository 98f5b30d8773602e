"""The first thing that runs in the child: bound the process, then hand over to pytest.

A script, run by the target's own interpreter from inside the sandbox. The limits are set here and not before the sandbox
starts, so that the number of processes is counted in the sandbox's own user namespace, and because a hook between fork
and exec is unsafe in a program with threads. Standard library only.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

VARIABLE = "TESTING_CREW_PROBE"
STARTED = ".started"


def _bound(limits: dict[str, Any]) -> None:
    try:
        import resource
    except ImportError:
        return
    wanted = {
        "RLIMIT_CPU": (limits["cpu_seconds"], limits["cpu_seconds"] + 2),
        "RLIMIT_AS": (limits["memory_bytes"],) * 2,
        "RLIMIT_FSIZE": (limits["file_bytes"],) * 2,
        "RLIMIT_NPROC": (limits["processes"],) * 2,
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
    """Ask Linux to kill this process when its parent dies; elsewhere nothing."""
    if sys.platform == "linux":
        import ctypes
        import signal

        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    """Set the limits that the environment names and run pytest with this process's arguments."""
    settings = json.loads(os.environ[VARIABLE])
    if settings["die_with_parent"]:
        _die_with_parent()
    _bound(settings["limits"])
    import pytest

    with open(settings["report"] + STARTED, "wb"):
        pass  # from here on, what goes wrong is the test file's doing
    return int(pytest.main())


if __name__ == "__main__":
    raise SystemExit(main())
