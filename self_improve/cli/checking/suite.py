"""A suite or a change checked: what the command's options ask for, the bar, and where the report goes."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from self_improve.cli.checking.reports import Reports
from testing_crew.errors import UserMistake
from testing_crew.suite.formats.words import printable
from testing_crew.suite.pair import Options, Tell

if TYPE_CHECKING:
    from testing_crew.config import Config


@dataclass(frozen=True)
class Order:
    """What was asked for; None is what was not said. ``form`` and ``outputs`` are as `reports.Reports` takes them.

    ``staged``: with a change, only what is staged.
    """

    paths: tuple[Path, ...]
    target: Path | None
    rev: str | None
    form: str | None
    outputs: tuple[str, ...]
    force: bool
    mutants: int | None
    repeats: int | None
    cache: bool
    staged: bool = False


def is_one_file(paths: list[Path], target: Path | None) -> bool:
    """Whether one test file is to be checked against one file, which has a report of its own."""
    return len(paths) == 1 and target is not None and not paths[0].is_dir() and not target.is_dir()


def check_all(order: Order, config: Config) -> int:
    """Check, print or write the report, and return the exit code. Raises `UserMistake` before anything is run where it can."""
    from testing_crew.crew import runner_for
    from testing_crew.suite.changed import check_change
    from testing_crew.suite.judge import check_suite

    reports = Reports(order.form, order.outputs, force=order.force)
    if not order.paths and order.rev is None:
        raise UserMistake("there is nothing to check", hint="testing-crew check tests/")
    asked = Options.of(config)
    options = replace(
        asked,
        mutants=asked.mutants if order.mutants is None else order.mutants,
        repeats=asked.repeats if order.repeats is None else order.repeats,
        cache=order.cache,
    )
    with runner_for(config) as runner, _progress() as tell, _plain_warnings():
        common: Any = (order.paths, order.target, options, runner, config.interpreter, tell)
        report = check_suite(*common) if order.rev is None else check_change(order.rev, *common, staged=order.staged)
    reports.hand_out(printable(report))
    nothing_ran = bool(report.tests) and all(file.trouble for file in report.tests)
    return 2 if nothing_ran else 0 if report.passed else 1


@contextmanager
def _progress() -> Iterator[Tell]:
    """A bar on stderr: what is being looked at, how many test files are done, and how long the rest may take."""
    from rich.progress import TimeRemainingColumn

    from self_improve.cli.say import Console, bars

    with bars(Console(stderr=True), TimeRemainingColumn()) as shown:
        task = shown.add_task("looking for tests", total=None)

        def tell(what: str, done: int, of: int) -> None:
            shown.update(task, description=what, completed=done, total=of)

        yield tell


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """What is to be told of a trace's first use goes to stderr as a sentence, not as Python's warning."""
    from self_improve.cli.say import clean

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if category is UserWarning:
            print(clean(str(message)), file=sys.stderr)

    before = warnings.showwarning
    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before
