"""``snapshot``: no model. Inputs by type and from the code's own constants, results taken over from a run.

It pins what the code does now, and finds no bug: the yardstick that a model has to beat.
"""

from __future__ import annotations

import hashlib
import time
from functools import cached_property
from pathlib import Path

from testing_crew import prompt
from testing_crew.backends.base import Completion, Sampling
from testing_crew.project.syntax import UNREADABLE
from testing_crew.snapshot import inputs, kinds, write

NOTE = "no model: pins what the code does now, and finds no bug"


class SnapshotBackend:
    """Answers the same prompts as a model would, by fixed rules."""

    tag = "snapshot"
    context: int | None = None
    prompt_version: int = prompt.PROMPT_VERSION

    @cached_property
    def revision(self) -> str:
        """Twelve digits of the sha256 of the rules."""
        texts = [Path(str(module.__file__)).read_bytes() for module in (inputs, kinds, write)]
        return hashlib.sha256(b"".join(texts)).hexdigest()[:12]

    def complete(self, asked: str, sampling: Sampling) -> Completion:
        """A first file, or one with the results that the failed one met; nothing where further tests are asked for."""
        started = time.monotonic()
        code = prompt.code_of(asked)
        try:
            text = self._answer(code, asked)
        except (*UNREADABLE, IndexError):  # code may be odder than any rule
            text = ""
        return Completion(text=text, finish="stop", seconds=time.monotonic() - started)

    def _answer(self, code: str, asked: str) -> str:
        if f"\n{prompt.FAILED}\n" in asked:
            failed, _, log = asked.partition(f"\n{prompt.FAILED}\n")[2].partition(f"\n\n{prompt.LOG}\n")
            return write.mended(code, failed, log.partition(f"\n\n{prompt.ANSWER}")[0])
        return "" if f"\n{prompt.EXISTING}\n" in asked else write.first(code)

    def count_tokens(self, text: str) -> None:
        """None: there is no tokenizer."""
        return None

    def close(self) -> None:
        """Nothing is held."""
