"""The command line in a real process that need not import CrewAI first: it is forked from one that has (seconds each)."""

import atexit
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import children
import pytest

MODULE = [sys.executable, "-m", "self_improve.cli.app"]


def run(*arguments: Any, seconds: float = children.SECONDS) -> Any:
    """What ``testing-crew ARGUMENTS`` says and its exit code; in a process of its own, with this one's environment."""
    words = list(map(str, arguments))
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return children.run([*MODULE, *words], seconds=seconds)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["crewai"])
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder, "out"), Path(folder, "error")
        child = context.Process(target=_be, args=(words, os.getcwd(), dict(os.environ), [str(file) for file in said]))
        child.start()
        child.join(seconds)
        if child.exitcode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid or 0, signal.SIGKILL)
            pytest.fail(f"testing-crew {words} did not end within {seconds:g} s: {[f.read_text() for f in said]}")
        out, error = (file.read_text(encoding="utf-8") for file in said)
    return subprocess.CompletedProcess(["testing-crew", *words], child.exitcode, out, error)


def _be(words: list[str], place: str, environment: dict[str, str], said: list[str]) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(place)
    for number, file in enumerate(said, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    sys.argv = ["testing-crew", *words]
    from self_improve.cli.app import main

    code: Any = 0
    try:
        main(words)
    except SystemExit as ended:
        code = ended.code
    finally:  # as an interpreter ends: threads first, then atexit, which multiprocessing leaves out
        threading._shutdown()
        atexit._run_exitfuncs()
    sys.exit(code)
