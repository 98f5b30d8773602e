"""The one prompt template. Training, the agent, the export check and the benchmarks all build their text here.

A prompt is a list of sections. The last header, ``### Tests:``, marks where the answer begins: a raw model needs a place
where the log ends and its own text starts, and a chat model reads it as well as we do.

Version 2 notes beside each failing row or assertion of the failed file what the code answered (``notes.annotate``). The version
belongs to the model: one that was trained on version 1 goes on getting that.
"""

from __future__ import annotations

from collections.abc import Sequence

from testing_crew.prompt.notes import annotate

PROMPT_VERSION = 2

TASK = "### Task: Write pytest tests"
CODE = "### Code Under Test:"
CONSTRAINTS = "### Constraints:"
CONSTRAINTS_TEXT = "pytest only, no hypothesis, no unittest. Edge cases, parametrize, no explanation."
EXISTING = "### Existing tests:"
UNCOVERED = "### Uncovered lines:"
UNNOTICED = "### Not noticed:"
FAILED = "### Failed tests:"
LOG = "### Failure log:"
ANSWER = "### Tests:"


def _render(code: str, *sections: tuple[str, str]) -> str:
    parts = [TASK, f"{CODE}\n{code.strip()}", f"{CONSTRAINTS}\n{CONSTRAINTS_TEXT}"]
    parts += [f"{header}\n{text.strip()}" for header, text in sections]
    return "\n\n".join([*parts, ANSWER]) + "\n"


def generate(code: str) -> str:
    """Ask for a first test file for ``code``."""
    return _render(code)


def noted(failed_tests: str, failure_log: str, version: int = PROMPT_VERSION) -> str:
    """``failed_tests`` as a prompt of ``version`` shows them: from version 2 on with the code's answers beside them."""
    return annotate(failed_tests, failure_log) if version >= 2 else failed_tests


def repair(code: str, failed_tests: str, failure_log: str, version: int = PROMPT_VERSION) -> str:
    """Ask for ``failed_tests`` again, mended; ``failure_log`` has one line per failing test."""
    return _render(code, (FAILED, noted(failed_tests, failure_log, version)), (LOG, failure_log))


def complete(code: str, existing_tests: str, uncovered: str, aims: Sequence[str] = ()) -> str:
    """Ask for further tests beside ``existing_tests`` that reach the ``uncovered`` lines and notice what ``aims`` says."""
    more = [(UNNOTICED, "\n".join(aims))] if aims else []
    return _render(code, (EXISTING, existing_tests), (UNCOVERED, uncovered), *more)
