"""Which expected values of a test file contradict an example in a docstring of the code: perhaps the code is wrong.

A contradiction is claimed only where it is sure: the same call with the same literal arguments, of a function that keeps no
state and reads no clock, no file and no dice. Everything else is passed over in silence.
"""

from __future__ import annotations

from testing_crew.gate.suspect.calls import Module
from testing_crew.gate.suspect.examples import examples
from testing_crew.gate.suspect.expected import expectations
from testing_crew.gate.suspect.outcome import UNREADABLE, contradict
from testing_crew.gate.text import read
from testing_crew.runner.failures import clip
from trace_logger.records import CodeUnderTest


def suspects(code: CodeUnderTest, tests: str) -> tuple[str, ...]:
    """One line for each expectation of ``tests`` that a docstring of ``code`` contradicts."""
    try:
        module = Module(code)
        said = examples(module)
        found: dict[str, None] = {}
        for label, key, outcome in expectations(module, read(tests)) if said else ():
            place, example = said.get(key, ("", outcome))
            if place and contradict(outcome, example, module.catches):
                found[
                    f"{label}: expects {clip(outcome.expected())}, the docstring of {place} says {clip(example.said())}"
                ] = None
    except UNREADABLE:
        return ()
    return tuple(found)
