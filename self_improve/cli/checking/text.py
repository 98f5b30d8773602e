"""A suite's report for a person at a terminal: a table of the test files, the findings that matter most, a line of totals."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from self_improve.cli.say import Console, text
from testing_crew.suite.formats.words import made, ordered, place, row, sentence, several, summary, verdict
from testing_crew.suite.records import Finding, SuiteReport

if TYPE_CHECKING:
    from rich.table import Table

_MOST_FINDINGS = 15
_MOST_ALIKE = 3  # of one kind in one file
_LONGEST = 160  # characters of a reason in the table
_COLOURS = re.compile("\x1b\\[[0-9;]*m")


def as_text(report: SuiteReport) -> str:
    """What `print_suite` prints, without colours."""
    console = Console()
    with console.capture() as captured:
        print_suite(console, report)
    return "".join(f"{line.rstrip()}\n" for line in _COLOURS.sub("", captured.get()).splitlines())


def print_suite(console: Console, report: SuiteReport) -> None:
    """The table with the weakest file first, some findings, and what it comes to."""
    console.print(f"testing-crew check of {report.root}", style="dim", soft_wrap=True)
    if report.tests:
        console.print(_table(report))
    shown = _some(ordered(report.findings))
    for each in shown:
        style = {"error": "red", "warning": "yellow"}.get(each.level, "dim")
        console.print(text((f"{each.level}: ", style), f"{place(each)}: {sentence(each)}"), soft_wrap=True)
        if each.mend:
            console.print(f"         {each.mend}", style="dim", soft_wrap=True)
    if left := len(report.findings) - len(shown):
        console.print(
            f"and {several(left, 'finding')} more: --output report.html has all of them", style="dim", soft_wrap=True
        )
    if report.rev is not None and report.modules:
        console.print(_of_changes(report))
    elif not report.tests and not report.findings:
        console.print("nothing to check: no change of the code's or the tests' behaviour")
    console.print(text((verdict(report), "green" if report.passed else "red"), f": {summary(report)}"), soft_wrap=True)
    console.print(made(report), style="dim", soft_wrap=True)


def _of_changes(report: SuiteReport) -> str:
    """How many modules a change touches, and how many small changes of the changed lines tests notice."""
    tried, noticed = (sum(getattr(each, name) for each in report.modules) for name in ("tried", "noticed"))
    said = f"{noticed} of {several(tried, 'change')} noticed" if tried else "nothing in the changed lines to try"
    return f"{several(len(report.modules), 'module')} changed, {said}"


def _table(report: SuiteReport) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table("test file", "", "why not", "lines", "branches", "noticed", "flaky", box=SIMPLE)
    for file in report.tests:
        each = row(file)
        why = "; ".join(says for says, _ in each.why)
        table.add_row(
            text(each.path),
            text(("accepted", "green") if each.accepted else ("not accepted", "red")),
            text(why if len(why) <= _LONGEST else f"{why[: _LONGEST - 1]}…"),
            *(text(figure) for figure in (each.lines, each.branches, each.noticed, each.flaky)),
        )
    return table


def _some(findings: list[Finding]) -> list[Finding]:
    """Every error, and of the others those that matter most, of one kind and file only a few."""
    seen: Counter[tuple[str, str]] = Counter()
    some: list[Finding] = []
    for each in findings:
        seen[each.code, each.path] += 1
        few = seen[each.code, each.path] <= _MOST_ALIKE and len(some) < _MOST_FINDINGS
        if each.level == "error" or few:
            some.append(each)
    return some
