"""A suite or a change checked: what the command's options ask for, the bar, and where the report goes."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testing_crew.backends.files import replace
from testing_crew.errors import UserMistake
from testing_crew.suite.pair import Options, Tell
from testing_crew.suite.records import SuiteReport

if TYPE_CHECKING:
    from testing_crew.config import Config

RENDERED = ("github", "sarif", "junit", "markdown", "html")
FORMATS = ("text", "json", *RENDERED)
_SUFFIXES = {".json": "json", ".sarif": "sarif", ".xml": "junit", ".md": "markdown", ".html": "html"}
_MARK = b"testing-crew"
_BEGINNING = 500  # bytes, among which each form of a report has the mark


@dataclass(frozen=True)
class Order:
    """What was asked for; None is what was not said. ``form`` is one of `FORMATS`."""

    paths: tuple[Path, ...]
    target: Path | None
    rev: str | None
    form: str | None
    output: Path | None
    force: bool
    mutants: int | None
    repeats: int | None
    cache: bool


def is_one_file(paths: list[Path], target: Path | None) -> bool:
    """Whether one test file is to be checked against one file, which has a report of its own."""
    return len(paths) == 1 and target is not None and not paths[0].is_dir() and not target.is_dir()


def check_all(order: Order, config: Config) -> int:
    """Check, print or write the report, and return the exit code. Raises `UserMistake` before anything is run where it can."""
    from testing_crew.crew import runner_for
    from testing_crew.suite.changed import check_change
    from testing_crew.suite.judge import check_suite

    form = _form(order)
    if order.output is not None:
        _must_be_free(order.output, order.force)
    if not order.paths and order.rev is None:
        raise UserMistake("there is nothing to check", hint="testing-crew check tests/")
    asked = config.check
    options = Options(
        mutants=asked.mutants if order.mutants is None else order.mutants,
        repeats=asked.repeats if order.repeats is None else order.repeats,
        cache=order.cache,
        traces=config.traces.enabled,
        least_noticed=asked.least_noticed,
        least_lines=asked.least_lines,
        least_branches=asked.least_branches,
    )
    with runner_for(config) as runner, _progress() as tell, _plain_warnings():
        common: Any = (order.paths, order.target, options, runner, config.interpreter, tell)
        report = check_suite(*common) if order.rev is None else check_change(order.rev, *common)
    _hand_out(report, form, order.output)
    nothing_ran = bool(report.tests) and all(file.trouble for file in report.tests)
    return 2 if nothing_ran else 0 if report.passed else 1


def rendered(report: SuiteReport, form: str) -> str:
    """The report in one of `FORMATS`, with a line end at its end."""
    from self_improve.cli.checking.text import as_text

    if form == "text":
        return as_text(report)
    if form == "json":
        return report.model_dump_json(indent=2) + "\n"
    text: str = import_module(f"testing_crew.suite.formats.{form}").render(report)
    return text if text.endswith("\n") else text + "\n"


def _form(order: Order) -> str:
    if order.form is None:
        return "text" if order.output is None else _SUFFIXES.get(order.output.suffix.lower(), "text")
    if order.form not in FORMATS:
        raise UserMistake(f"there is no format {order.form!r}", hint=f"one of {', '.join(FORMATS)}")
    return order.form


def _must_be_free(output: Path, force: bool) -> None:
    """A report of ours may be written over, anything else only with ``force``."""
    if output.is_dir():
        raise UserMistake(f"{output} is a folder", hint="--output names a file")
    if not output.exists() or force:
        return
    try:
        with output.open("rb") as file:
            ours = _MARK in file.read(_BEGINNING)
    except OSError as error:
        raise UserMistake(f"{output} cannot be read: {error.strerror}", hint="--output names a file of yours") from None
    if output.stat().st_size and not ours:
        raise UserMistake(f"{output} exists and is no report of testing-crew", hint="replace it with --force")


def _hand_out(report: SuiteReport, form: str, output: Path | None) -> None:
    from self_improve.cli.checking.text import print_suite
    from self_improve.cli.say import Console

    if output is not None:
        replace(output, rendered(report, form))
    if form == "text" or output is not None:
        print_suite(Console(), report)
        if output is not None:
            Console().print(f"written: {output} ({form})", soft_wrap=True)
    else:
        text = rendered(report, form)
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
        sys.stdout.flush()


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
