r"""What each rule of the gate catches, and what it alone catches, among all files of the tests that pass and must be refused.

    python -m pytest -q -p benchmarks.perf.rules -k "not cold and not too_large" \
        tests/testing_crew/gate tests/testing_crew/runner/adversaries tests/testing_crew/test_check.py

Every rule is asked of each file, also where another has refused it already; so some of the tests fail, which says nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from testing_crew.gate import gate, text
from testing_crew.gate.text import DOUBTS, judge
from testing_crew.runner.plan import Plan
from trace_logger.records import CodeUnderTest, PytestRun

_found: dict[tuple[str, str, str], frozenset[str]] = {}
_text: dict[str, tuple[str, ...]] = {}
_judge = gate.Gate.judge


def _all_rules(code: CodeUnderTest, tests: str, run: PytestRun) -> tuple[bool, tuple[str, ...]]:
    _, reasons = judge(code, tests, run)
    if not run.passed:
        return False, reasons
    _text[tests] = tuple(reason for reason in reasons if reason not in DOUBTS)
    return True, tuple(reason for reason in reasons if reason in DOUBTS)


def _noted(self: gate.Gate, plan: Plan, *given: Any, **named: Any) -> gate.Judgement:
    made = _judge(self, plan, *given, **named)
    if made.run.passed:
        reasons = {reason.partition(":")[0] for reason in (*_text.pop(plan.tests, ()), *made.reasons)}
        _found[plan.code.source, plan.code.unit or "", plan.tests] = frozenset(reasons)
    return made


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Ask every rule from here on."""
    text.judge = gate.judge = _all_rules  # type: ignore[attr-defined]
    gate.Gate.judge = _noted  # type: ignore[method-assign]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table."""
    refused = [reasons for reasons in _found.values() if reasons]
    alone = Counter(next(iter(reasons)) for reasons in refused if len(reasons) == 1)
    together = Counter(reason for reasons in refused for reason in reasons)
    terminalreporter.write_line(f"{len(_found)} files that pass, {len(refused)} of them refused")
    terminalreporter.write_line("| rule | catches | alone |\n| --- | --- | --- |")
    for reason, count in together.most_common():
        terminalreporter.write_line(f"| `{reason}` | {count} | {alone[reason]} |")
