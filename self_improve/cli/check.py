"""How ``testing-crew check`` tells its report to a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testing_crew.gate.gate import Progress

if TYPE_CHECKING:
    from self_improve.cli.say import Console

_MOST_SURVIVORS = 10


@contextmanager
def progress() -> Iterator[Progress]:
    """A bar on stderr for each thing that is done many times; it goes when all is done."""
    from rich.progress import TimeRemainingColumn

    from self_improve.cli.say import Console, bars

    with bars(Console(stderr=True), TimeRemainingColumn()) as shown:
        known = {"": shown.add_task("first run", total=None)}

        def tell(what: str, done: int, of: int) -> None:
            shown.update(known[""], visible=False)
            if what not in known:
                known[what] = shown.add_task(what, total=of)
            shown.update(known[what], completed=done)

        yield tell


def print_report(test: Path, target: Path, report: dict[str, Any]) -> None:
    """The report in a few lines."""
    from self_improve.cli.say import Console, text

    console = Console()
    mark = ("accepted", "green") if report["accepted"] else ("not accepted", "red")
    cases = report["cases"]
    console.print(text(f"{test} against {target}: {report['verdict']}, ", mark), soft_wrap=True)
    console.print(f"  {cases['passed']} passed, {cases['failed']} failed, {cases['error']} errors")
    for reason in report["explained"]:
        console.print(f"  why not: {reason['says']}", soft_wrap=True)
        console.print(f"           {reason['mend']}", style="dim", soft_wrap=True)
    for line in report["failures"]:
        console.print(f"  {line}", soft_wrap=True)
    for note in report["notes"]:
        console.print(text("  ", ("note:", "yellow"), f" {note}"), soft_wrap=True)
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
        console.print(text("  ", ("the code may be wrong:", "yellow"), f" {suspect}"), soft_wrap=True)
    for aim in report["aims"][:_MOST_SURVIVORS]:
        console.print(f"  {aim}", style="dim", soft_wrap=True)
    if report["options_left_out"]:
        print_left_out(console, report["options_left_out"])
    print_python(console, report["python"])
    console.print(f"  sandbox: {report['sandbox']}", style="dim", soft_wrap=True)


def print_python(console: Console, python: dict[str, str]) -> None:
    """Which Python ran the tests."""
    said = f"  python: {python['path']} ({python['version']}; {python['why']})"
    console.print(said, style="dim", soft_wrap=True)


def print_left_out(console: Console, options: list[str]) -> None:
    """Which of the project's own options of pytest no run here could have."""
    console.print(f"  of the project's own pytest options, left out: {', '.join(options)}", style="dim", soft_wrap=True)


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
