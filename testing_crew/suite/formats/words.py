"""What all forms of a report say alike: its verdict, its figures, and what each kind of finding is called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from testing_crew.suite.records import FileReport, Finding, FindingCode, Level, ModuleReport, SuiteReport
from trace_logger.records import Mutants, Record

Made = TypeVar("Made", bound=Record)


@dataclass(frozen=True)
class Kind:
    """A kind of finding: its ``title``, and ``about``: what it means, in a sentence."""

    title: str
    about: str


KINDS: Mapping[FindingCode, Kind] = {
    "not_accepted": Kind(
        "Test file not accepted", "The gate refuses the file: it fails, is flaky, or proves nothing about the code."
    ),
    "not_run": Kind("Test file could not be run", "The file could not be read, collected or run."),
    "weakened": Kind("Tests weakened", "With this change the test file checks less than before."),
    "hollow": Kind("Test that notices nothing", "No small change of the code makes this changed test fail."),
    "cheats": Kind("Test that does not test the code", "The changed test file does not test the code that it names."),
    "below": Kind("Below the threshold", "A figure is below a threshold of the project's settings."),
    "suspect": Kind(
        "Code contradicts its docstring", "An example in a docstring says something else than the code does."
    ),
    "uncovered": Kind("Changed line that no test runs", "The change touches a line that no test runs."),
    "unnoticed": Kind(
        "Change that no test notices", "The code was changed here on purpose, and every test still passed."
    ),
    "no_tests": Kind("No tests", "No test file is about this module or function."),
}
_LEVELS = get_args(Level)
_CODES = list(KINDS)
# What a terminal, a browser or an XML parser would act on or refuse: controls, lone surrogates, marks that turn the direction
# of writing, non-characters.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_NOTHING = "\N{EN DASH}"


def clean(text: str) -> str:
    """``text`` with every character that only acts, and is not seen, as U+FFFD; tabs and line feeds stay."""
    return _CONTROL.sub("\ufffd", text.replace("\r\n", "\n"))


def escaped(value: Any) -> Any:
    r"""``value``, of JSON's types and tuples, with what is no Unicode in its texts (a byte of a file's name) as ``\udcff``."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {escaped(key): escaped(each) for key, each in value.items()}
    return [escaped(each) for each in value] if isinstance(value, (list, tuple)) else value


def printable(report: Made) -> Made:
    """The same record with texts that every encoding and every format can hold."""
    return type(report).model_validate(escaped(report.model_dump()))


def clipped(text: str, most: int) -> str:
    """``text`` cut to ``most`` characters, with dots where something is missing."""
    return text if len(text) <= most else text[: max(most - 1, 0)] + "\N{HORIZONTAL ELLIPSIS}"


def several(number: int, noun: str) -> str:
    """``1 error``, ``2 errors``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """``findings`` with what matters most first: by level, by kind, by place."""
    return sorted(
        findings, key=lambda each: (_LEVELS.index(each.level), _CODES.index(each.code), each.path, each.line or 0)
    )


def at_level(report: SuiteReport, level: Level) -> int:
    """How many findings have ``level``."""
    return sum(each.level == level for each in report.findings)


def verdict(report: SuiteReport) -> str:
    """``Passed``, ``Not passed``, or that it was stopped before its end."""
    said = "Passed" if report.passed else "Not passed"
    return said if report.complete else f"{said}, stopped before its end"


def summary(report: SuiteReport) -> str:
    """The figures in a sentence: files accepted, errors, warnings, and what it was compared with."""
    accepted = sum(each.accepted for each in report.tests)
    files = (
        f"{accepted:,} of {several(len(report.tests), 'test file')} accepted"
        if report.tests
        else "no test file to judge"
    )
    parts = [files]
    parts += [several(at_level(report, "error"), "error"), several(at_level(report, "warning"), "warning")]
    if report.rev is not None:
        parts.append(f"changes since {clean(report.rev)} only")
    return ", ".join(parts)


def made(report: SuiteReport) -> str:
    """By what it was made, in how many seconds, and how much of it had been found before."""
    cached = f", {several(report.cached, 'result')} from the cache" if report.cached else ""
    return f"{clean(report.made_by)}, {report.seconds:.1f} s{cached}"


@dataclass(frozen=True)
class Row:
    """A test file's line of a table, as texts; ``why`` holds each reason against it as ``(what it says, what mends it)``."""

    path: str
    accepted: bool
    target: str
    why: tuple[tuple[str, str], ...]
    lines: str
    branches: str
    noticed: str
    flaky: str


def row(file: FileReport) -> Row:
    """The line of ``file``: its figures are those of the module that it is most about.

    Noticed is what an assertion noticed; what only made a test fail by an exception, or too slow, is told beside it.
    """
    main = file.main
    why = [(file.trouble, file.hint)] if file.trouble else []
    if main is not None and not file.accepted:
        why += [(each.says, each.mend) for each in main.reasons]
    mutants, runs = (main.mutants, main.stability) if main else (None, None)
    return Row(
        path=file.path,
        accepted=file.accepted,
        target=main.target if main else "",
        why=tuple(why),
        lines=share(main.coverage.line if main else None),
        branches=share(main.coverage.branch if main else None),
        noticed=_noticed(mutants) if mutants and mutants.counted else _NOTHING,
        flaky=_NOTHING if not runs else "no" if runs.passed == runs.runs else f"passed {runs.passed} of {runs.runs}",
    )


def _noticed(mutants: Mutants) -> str:
    crashed = mutants.raised + mutants.timed_out
    more = f" (+{crashed} by an exception)" if crashed else ""
    return f"{mutants.killed} of {mutants.counted}{more}"


def figures(module: ModuleReport) -> list[str]:
    """What is known of a module by all its tests, each as a text; empty where nothing is."""
    told = [] if module.lines is None else [f"{share(module.lines)} of its lines run"]
    if module.missed_lines:
        told.append(f"{several(len(module.missed_lines), 'line')} that no test runs")
    if module.tried:
        told.append(f"{module.noticed} of {several(module.tried, 'change')} made a test fail")
    return told if module.tests else [*told, "no test file"]


def share(part: float | None) -> str:
    """A fraction of 1 in per cent; never rounded up to all of it. A dash where there is none."""
    return _NOTHING if part is None else "100%" if part >= 1 else f"{min(round(part * 100), 99)}%"


def place(finding: Finding) -> str:
    """``path:line``, or the path alone."""
    return finding.path if finding.line is None else f"{finding.path}:{finding.line}"


def sentence(finding: Finding) -> str:
    """What a finding says, with the test or the function that it is about."""
    return f"{finding.name}: {finding.message}" if finding.name not in finding.message else finding.message


def in_repository(report: SuiteReport, path: str) -> str | None:
    """``path`` from the top of the repository that ``report.root`` lies in, which is how GitHub knows a file.

    From ``report.root`` itself where that is in no repository; None for a file that lies elsewhere.
    """
    root = Path(report.root)
    if Path(path).is_absolute():
        return None
    top = next((each for each in (root, *root.parents) if (each / ".git").exists()), root)
    return (root.relative_to(top) / path).as_posix()
