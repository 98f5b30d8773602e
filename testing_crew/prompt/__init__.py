"""The one prompt template. Training, the agent, the export check and the benchmarks all build their text here.

A prompt is a list of sections. The last header, ``### Tests:``, marks where the answer begins: a raw model needs a place
where the log ends and its own text starts, and a chat model reads it as well as we do.

Version 2 notes beside each failing row or assertion of the failed file what the code answered (``notes.annotate``). Version 3
says in a line of its own which function or class the tests are to be for. The version belongs to the model: one that was trained
on version 1 goes on getting that.
"""

from __future__ import annotations

from collections.abc import Sequence

from testing_crew.project.code import heading, parts
from testing_crew.prompt.notes import annotate

PROMPT_VERSION = 3

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


def _render(version: int, code: str, *sections: tuple[str, str]) -> str:
    module, unit, below = parts(code)
    shown = heading(module, None) + below if unit and version < 3 else code
    made = [TASK, f"{CODE}\n{shown.strip()}", f"{CONSTRAINTS}\n{CONSTRAINTS_TEXT}"]
    made += [f"{header}\n{text.strip()}" for header, text in sections]
    return "\n\n".join([*made, ANSWER]) + "\n"


def code_of(asked: str) -> str:
    """What a prompt shows of the code; empty where it is no prompt of this template."""
    return asked.partition(f"{CODE}\n")[2].partition(f"\n\n{CONSTRAINTS}")[0]


def generate(code: str, version: int = PROMPT_VERSION) -> str:
    """Ask for a first test file for ``code``."""
    return _render(version, code)


def noted(failed_tests: str, failure_log: str, version: int = PROMPT_VERSION) -> str:
    """``failed_tests`` as a prompt of ``version`` shows them: from version 2 on with the code's answers beside them."""
    return annotate(failed_tests, failure_log) if version >= 2 else failed_tests


def repair(code: str, failed_tests: str, failure_log: str, version: int = PROMPT_VERSION) -> str:
    """Ask for ``failed_tests`` again, mended; ``failure_log`` has one line per failing test."""
    return _render(version, code, (FAILED, noted(failed_tests, failure_log, version)), (LOG, failure_log))


def complete(
    code: str, existing_tests: str, uncovered: str, aims: Sequence[str] = (), version: int = PROMPT_VERSION
) -> str:
    """Ask for further tests beside ``existing_tests`` that reach the ``uncovered`` lines and notice what ``aims`` says."""
    more = [(UNNOTICED, "\n".join(aims))] if aims else []
    return _render(version, code, (EXISTING, existing_tests), (UNCOVERED, uncovered), *more)
