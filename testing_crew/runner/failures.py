"""From a run to the few lines that a model repairs from: one line per failing case, the actual value beside the expected.

The form is fixed, because models are trained on it::

    test_add(1, 2, 5): got 3, expected 5
    test_div(): raised ZeroDivisionError: division by zero
    test_div_raises(2, 1): did not raise ValueError
    test_even(): assert is_even(3) is false
    collection: ModuleNotFoundError: No module named 'mathx'
"""

from __future__ import annotations

import re

from trace_logger.records import CaseResult, PytestRun

MAX_LINES = 20
MAX_VALUE = 200
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
_ERRORS = ("ERROR: ", "ImportError while loading conftest", "Fatal Python error: ")
_PLACE = re.compile(r"(?:INTERNALERROR>|E) +(File .*, line \d+)|(\S+:\d+: in .*)")
_DID_NOT_RAISE = re.compile(r"DID NOT RAISE (?:any of )?\(?<class '(?:[\w.]*\.)?(\w+)'>")


def clip(text: str, limit: int = MAX_VALUE) -> str:
    """``text`` on one line, free of memory addresses, at most ``limit`` characters; spaces within a line stay."""
    flat = " ".join(line.strip() for line in _ADDRESS.sub("0x...", text).splitlines() if line.strip())
    return flat if len(flat) <= limit else flat[: limit - 3] + "..."


def last_words(output: str) -> list[str]:
    """What pytest, or Python, said of why it reached no test: a usage error, a broken ``conftest.py``, the end of a traceback."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(_ERRORS)]
    places = [place[1] or place[2] for place in map(_PLACE.match, lines) if place]
    errors = [line for line in lines if line.startswith(("E  ", "INTERNALERROR> "))]
    if errors:
        return [*told, *places[-1:], errors[-1].partition(" ")[2].strip()]
    if not told or "Traceback (most recent call last):" in lines:
        told += [line.strip() for line in lines[-1:] if re.search(r"\w", line)]
    return told[:MAX_LINES]


def failure_line(case: CaseResult) -> str:
    """The line for one failing case."""
    if case.phase == "collect":
        return clip(f"collection: {case.exception or 'Error'}: {case.message}")
    name = f"{case.function}{clip(case.row) if case.row else '()'}"
    if case.actual is not None and case.expected is not None:
        return f"{name}: got {clip(case.actual)}, expected {clip(case.expected)}"
    not_raised = _DID_NOT_RAISE.search(case.message)
    if not_raised:
        return f"{name}: did not raise {not_raised.group(1)}"
    if case.exception in (None, "AssertionError"):
        claim = case.message.splitlines()[0] if case.message else "assert"
        return clip(f"{name}: {claim.removeprefix('AssertionError: ')} is false", 2 * MAX_VALUE)
    return clip(f"{name}: raised {case.exception}: {case.message}".rstrip(": "), 2 * MAX_VALUE)


def failure_log(run: PytestRun) -> str:
    """The normalised log of a run that did not pass; empty for one that did."""
    if run.passed:
        return ""
    lines = [failure_line(c) for c in run.cases if c.outcome in ("failed", "error")]
    if len(lines) > MAX_LINES:
        lines = [*lines[:MAX_LINES], f"... and {len(lines) - MAX_LINES} more"]
    lines += [f"limit: {limit}" for limit in run.limits_hit]
    lines = lines or [f"collection: {c.message}" for c in run.cases if c.phase == "collect" and c.message]
    if not lines:
        lines = [
            {
                "no_tests": "no test was collected",
                "skipped": "a test was skipped, or expected to fail; every test must run and pass",
                "timeout": "the run took too long and was stopped",
                "out_of_memory": "the run used too much memory and was stopped",
            }.get(run.verdict, f"the run ended as {run.verdict}, exit code {run.exit_code}")
        ]
        if run.verdict in ("error", "crashed"):
            lines += [clip(f"pytest: {word}", 2 * MAX_VALUE) for word in last_words(run.log)]
    return "\n".join(lines)
