"""Where a report goes: what is printed, and which files are written in which form."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from testing_crew.backends.files import replace
from testing_crew.errors import UserMistake
from testing_crew.suite.formats.ours import is_ours
from testing_crew.suite.records import SuiteReport

RENDERED = ("github", "sarif", "junit", "markdown", "html")
FORMATS = ("text", "json", *RENDERED)
_SUFFIXES = {".json": "json", ".sarif": "sarif", ".xml": "junit", ".md": "markdown", ".html": "html"}


class Reports:
    """What is to become of one report.

    ``outputs`` are files, each a path, or a form with its path (``sarif=out.json``); a path alone has the form that its suffix
    says. ``form``, one of `FORMATS`, is the form of a sole path without one; else it is what is printed. Raises `UserMistake`
    for a form that there is not, and for a file that may not be written: one that is no report of ours, unless with ``force``.
    """

    def __init__(self, form: str | None, outputs: Sequence[str], *, force: bool) -> None:
        if form is not None and form not in FORMATS:
            raise UserMistake(f"there is no format {form!r}", hint=f"one of {', '.join(FORMATS)}")
        self._force = force
        self._files: dict[Path, str] = {}
        self._printed = form or "text"
        for output in outputs:
            named, is_named, path = output.partition("=")
            if is_named and named in FORMATS and path:
                self._files[Path(path)] = named
            elif form is not None and len(outputs) == 1:
                self._files[Path(output)] = form
                self._printed = "text"
            else:
                self._files[Path(output)] = _SUFFIXES.get(Path(output).suffix.lower(), "text")
        for file in self._files:
            _must_be_free(file, force)

    def hand_out(self, report: SuiteReport) -> None:
        """Print ``report`` and write its files. Raises `UserMistake` for one that cannot be written now."""
        from self_improve.cli.checking.text import print_suite
        from self_improve.cli.say import Console

        if self._printed == "text":
            print_suite(Console(), report)
        else:
            sys.stdout.buffer.write(rendered(report, self._printed).encode())
            sys.stdout.flush()
        for file, form in self._files.items():
            _must_be_free(file, self._force)  # still: what came there meanwhile is not ours
            replace(file, rendered(report, form))
            Console(stderr=self._printed != "text").print(f"written: {file} ({form})", soft_wrap=True)


def rendered(report: SuiteReport, form: str) -> str:
    """The report in one of `FORMATS`, with a line end at its end."""
    from self_improve.cli.checking.text import as_text

    if form == "text":
        return as_text(report)
    if form == "json":
        return report.model_dump_json(indent=2) + "\n"
    text: str = import_module(f"testing_crew.suite.formats.{form}").render(report)
    return text if text.endswith("\n") else text + "\n"


def _must_be_free(output: Path, force: bool) -> None:
    """A report of ours may be written over, anything else only with ``force``; nothing is written through a link."""
    named = [output] if output.is_absolute() else [output, *output.parents]
    if link := next((each for each in named if each.is_symlink()), None):
        raise UserMistake(
            f"{link} is a link, and no report is written through one", hint="--output names the file itself"
        )
    if output.is_dir():
        raise UserMistake(f"{output} is a folder", hint="--output names a file")
    if not output.exists():
        return
    if not output.is_file():
        raise UserMistake(f"{output} is no regular file", hint="without --output the report is printed")
    try:
        mine = force or not output.stat().st_size or is_ours(output)
    except OSError as error:
        raise UserMistake(f"{output} cannot be read: {error.strerror}", hint="--output names a file of yours") from None
    if not mine:
        raise UserMistake(f"{output} exists and is no report of testing-crew", hint="replace it with --force")
