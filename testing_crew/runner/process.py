"""One child process, from its start to the last of its descendants, with its output capped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from testing_crew.runner.inside.capped import Capped

_STEP = 0.004
_GRACE = 2.0


@dataclass(frozen=True)
class Finished:
    """How a child ended: ``exit_code`` is negative for a signal, ``seconds`` are of wall time."""

    exit_code: int
    output: str
    cut_bytes: int
    timed_out: bool
    seconds: float


def _drain(stream: IO[bytes], kept: Capped) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := os.read(stream.fileno(), 65_536):
            kept.feed(data)


def run_child(
    command: list[str],
    environment: Mapping[str, str],
    cwd: str,
    wall_seconds: float,
    output_bytes: int,
    mark: str = "",
    stopped: Callable[[], bool] = lambda: False,
) -> Finished:
    """Run ``command`` in a session of its own until it ends or ``wall_seconds`` have passed, then kill what is left of it.

    ``mark`` is a value of the child's environment by which descendants that left the session are found and killed (on
    Linux); a sandbox with its own process namespace needs none. An interrupt kills the child before it is passed on, and so
    does ``stopped``, which is asked all the time, for a run in another thread than the one that is interrupted.
    """
    began = time.monotonic()
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        cwd=cwd,
        start_new_session=os.name == "posix",
    )
    assert child.stdout is not None
    kept = Capped(output_bytes)
    reader = threading.Thread(target=_drain, args=(child.stdout, kept), daemon=True)
    timed_out = True
    try:
        reader.start()
        deadline = began + wall_seconds
        while time.monotonic() < deadline and not stopped():
            if _has_ended(child):
                timed_out = False
                break
            time.sleep(_STEP)
    finally:
        _kill_session(child)
        child.wait()
        if mark:
            kill_marked(mark)
    seconds = time.monotonic() - began
    reader.join(_GRACE)  # a descendant beyond reach may hold the pipe open: its output is not waited for
    if not reader.is_alive():
        child.stdout.close()
    return Finished(
        exit_code=child.returncode,
        output=kept.text(),
        cut_bytes=kept.cut,
        timed_out=timed_out,
        seconds=seconds,
    )


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether ``child`` ended; it is left unreaped where that can be, so that its number still names its session."""
    if hasattr(os, "waitid"):
        return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return child.poll() is not None


def _kill_session(child: subprocess.Popen[bytes]) -> None:
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    else:
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(child.pid)], capture_output=True, check=False)


def kill_marked(mark: str) -> None:
    """Kill every process that carries ``mark`` in its environment, until a look around finds none."""
    wanted = mark.encode()
    for _ in range(50):
        found = False
        for entry in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if wanted in entry.read_bytes().split(b"\0"):
                    os.kill(int(entry.parent.name), signal.SIGKILL)
                    found = True
        if not found:
            return
        time.sleep(_STEP)
