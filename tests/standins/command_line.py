"""The command line in a real process that need not import CrewAI and torch first: it is forked from one that has (seconds each)."""

import atexit
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import children
import pytest

MODULE = [sys.executable, "-m", "self_improve.cli.app"]
_SLOW_TO_IMPORT = ["crewai", "trl.trainer.sft_trainer", "transformers.models.llama.modeling_llama", "peft", "llama_cpp"]


class Forked:
    """A command at work, in a session of its own."""

    def __init__(self, words: list[str], folder: Path) -> None:
        self.words = words
        self._said = folder / "out", folder / "error"
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_SLOW_TO_IMPORT)
        files = [str(file) for file in self._said]
        self._child = context.Process(target=_be, args=(words, os.getcwd(), dict(os.environ), files))
        self._child.start()
        self.pid: int = self._child.pid or 0

    def poll(self) -> int | None:
        """Its exit code, None while it is at work."""
        return self._child.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal; to all of its session where that is SIGKILL."""
        for send in (os.killpg, os.kill) if number == signal.SIGKILL else (os.kill,):  # at first it has no session yet
            with contextlib.suppress(ProcessLookupError, PermissionError):
                send(self.pid, number)

    def ended(self, seconds: float = children.SECONDS) -> Any:
        """What it said, and its exit code; the test has failed when it does not end."""
        self._child.join(seconds)
        if self._child.exitcode is None:
            self.send_signal(signal.SIGKILL)
            pytest.fail(f"testing-crew {self.words} did not end within {seconds:g} s: {self._texts()}")
        return subprocess.CompletedProcess(["testing-crew", *self.words], self._child.exitcode, *self._texts())

    def _texts(self) -> list[str]:
        return [file.read_text(encoding="utf-8") if file.exists() else "" for file in self._said]


@contextlib.contextmanager
def started(*arguments: Any) -> Iterator[Forked]:
    """``testing-crew ARGUMENTS`` at work, with this process's environment; killed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        made = Forked(list(map(str, arguments)), Path(folder))
        try:
            yield made
        finally:
            while made.poll() is None:
                made.send_signal(signal.SIGKILL)
                time.sleep(0.01)


def run(*arguments: Any, seconds: float = children.SECONDS) -> Any:
    """What ``testing-crew ARGUMENTS`` says and its exit code; in a process of its own, with this one's environment."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return children.run([*MODULE, *map(str, arguments)], seconds=seconds)
    with started(*arguments) as command:
        return command.ended(seconds)


def _be(words: list[str], place: str, environment: dict[str, str], said: list[str]) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal
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
