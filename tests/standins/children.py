"""The processes that tests start: each has a time limit, and is gone with all that it started when it has passed."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

SECONDS = 300.0  # far above what a busy machine adds


def _hear_interrupts() -> None:
    """As in a terminal: where the tests themselves were started in the background, their children would not hear Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def started(command: Any, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process in a session of its own, which is killed at the end."""
    options = {"preexec_fn": _hear_interrupts, **options} if os.name == "posix" else options
    with subprocess.Popen(command, text=True, start_new_session=True, **options) as child:
        try:
            yield child
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)


def ended(child: subprocess.Popen[str], seconds: float = SECONDS) -> tuple[str, str]:
    """What a process says until it ends, on its standard output and error; the test has failed when it does not end."""
    try:
        return child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        said = ""
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that left the session may hold the pipe
            said = "".join(text or "" for text in child.communicate(timeout=10))
        pytest.fail(f"{child.args} did not end within {seconds:g} s. It said:\n{said}")


def run(command: Any, *, seconds: float = SECONDS, check: bool = False, **options: Any) -> Any:
    """Run a command to its end: `subprocess.run` with the text captured and a time limit."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started(command, **{**pipes, **options}) as child:
        out, error = ended(child, seconds)
    done = subprocess.CompletedProcess(child.args, child.returncode, out, error)
    if check:
        done.check_returncode()
    return done
