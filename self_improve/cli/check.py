"""How ``testing-crew check`` tells its report to a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testing_crew.runner.gate import Progress

_MOST_SURVIVORS = 10


@contextmanager
def progress() -> Iterator[Progress]:
    """A bar on stderr for each thing that is done many times; it goes when all is done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        known = {"": bars.add_task("first run", total=None)}

        def tell(what: str, done: int, of: int) -> None:
            bars.update(known[""], visible=False)
            if what not in known:
                known[what] = bars.add_task(what, total=of)
            bars.update(known[what], completed=done)

        yield tell


def print_report(test: Path, target: Path, report: dict[str, Any]) -> None:
    """The report in a few lines."""
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    mark = "[green]accepted[/]" if report["accepted"] else "[red]not accepted[/]"
    cases = report["cases"]
    console.print(f"{escape(str(test))} against {escape(str(target))}: {report['verdict']}, {mark}", soft_wrap=True)
    console.print(f"  {cases['passed']} passed, {cases['failed']} failed, {cases['error']} errors")
    for reason in report["reasons"]:
        console.print(f"  why not: {escape(reason.replace('_', ' '))}")
    for line in report["failures"]:
        console.print(f"  {escape(line)}", soft_wrap=True)
    coverage = report["coverage"]
    if coverage["line"] is not None:
        branch = "" if coverage["branch"] is None else f", branches {coverage['branch']:.0%}"
        console.print(f"  lines covered {coverage['line']:.0%}{branch}")
    if report["mutants"]:
        console.print(f"  {_mutants(report['mutants'])}", soft_wrap=True)
    if report["stability"]:
        steady = report["stability"]
        console.print(
            f"  passed in {steady['passed']} of {steady['runs']} runs (other orders, other hash seeds, one cold)"
        )
    for suspect in report["suspects"]:
        console.print(f"  [yellow]the code may be wrong:[/] {escape(suspect)}", soft_wrap=True)
    for aim in report["aims"][:_MOST_SURVIVORS]:
        console.print(f"  [dim]{escape(aim)}[/]", soft_wrap=True)
    if report["options_left_out"]:
        left_out = ", ".join(report["options_left_out"])
        console.print(
            f"  of the project's own pytest options, left out: {left_out}", style="dim", markup=False, soft_wrap=True
        )
    console.print(f"  [dim]sandbox: {escape(report['sandbox'])}[/]", soft_wrap=True)


def _mutants(found: dict[str, Any]) -> str:
    if not found["tried"]:
        return "no changes of the target were tried"
    score = "" if found["score"] is None else f" ({found['score']:.0%})"
    parts = [f"{found['killed']} noticed by an assertion{score}"]
    parts += [f"{found[key]} {words}" for key, words in _OTHERS.items() if found[key]]
    part = "" if found["tried"] == found["found"] else f" of {found['found']}"
    return f"changes of the target: {found['tried']}{part} tried, {', '.join(parts)}"


_OTHERS = {
    "raised": "only by an exception on the way",
    "timed_out": "ended by time",
    "survived": "not noticed",
    "equivalent": "without a difference",
}
