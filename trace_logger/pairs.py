"""From attempts to lessons: which failed test file was mended by which accepted one."""

from __future__ import annotations

from collections.abc import Iterator

from trace_logger.records import Attempt, CodeUnderTest, RepairPair, Trace


def unit_name(code: CodeUnderTest) -> str:
    """Give what `Attempt.unit` holds for ``code``: the unit's name, or the module's where all of it is the unit."""
    return code.unit or code.module


def repair_pairs(trace: Trace) -> Iterator[RepairPair]:
    """Pair every failed attempt of a unit with the next accepted attempt of the same unit, in the order of writing.

    Failed means that pytest did not pass it; a file that passed and was turned down by the gate is no failure to
    repair; nor is an answer that was drawn beside the accepted one. A failed file that occurs twice in a unit is given
    once. Left out, since they show no repair: a blank file, and a file that later was accepted unchanged (the test is
    flaky, or the fault lay elsewhere).
    """
    # A name that a module defines twice means its last definition, as it does to Python.
    shown = {unit_name(code): code.shown for code in trace.units}
    waiting: dict[str, list[Attempt]] = {}
    seen: set[tuple[str, str]] = set()
    for attempt in trace.attempts:
        if attempt.accepted:
            for failed in waiting.pop(attempt.unit, []):
                key = (failed.unit, failed.tests)
                beside = failed.candidate > 0 and failed.iteration == attempt.iteration  # drawn, and never shown again
                if key in seen or failed.tests == attempt.tests or beside:
                    continue
                seen.add(key)
                yield RepairPair(
                    trace_id=trace.id,
                    unit=failed.unit,
                    code=shown[failed.unit],
                    failed_test=failed.tests,
                    failure_log=failed.failure_log,
                    fixed_test=attempt.tests,
                )
        elif not attempt.run.passed and attempt.tests.strip():
            waiting.setdefault(attempt.unit, []).append(attempt)


def judged_pairs(trace: Trace) -> Iterator[tuple[RepairPair, bool]]:
    """The `repair_pairs`, each with whether its fixed file contradicts an example of the docstring: the code may be wrong."""
    suspect = {attempt.tests for attempt in trace.attempts if attempt.suspects}
    for pair in repair_pairs(trace):
        yield pair, pair.fixed_test in suspect
