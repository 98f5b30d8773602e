"""A report as Markdown, for the comment of a pull request and for the summary of a CI step."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from testing_crew.suite.formats.words import (
    KINDS,
    Row,
    clean,
    clipped,
    figures,
    made,
    ordered,
    place,
    row,
    several,
    summary,
    verdict,
)
from testing_crew.suite.records import Finding, ModuleReport, SuiteReport

MARK = "<!-- testing-crew -->"  # by which a workflow knows its own comment again
_MOST = 65_000  # characters; GitHub refuses a comment of 65,536
_OF_TABLE = _MOST // 2
_OF_FOLDED = 200  # characters, of which each list has its title and how much of it is left out
_LONGEST = 300  # characters of a text that we did not write
_COLUMNS = ("test file", "accepted", "why not", "lines", "branches", "noticed", "flaky")
_SPECIAL = re.compile(
    r"[\\`*{}\[\]<>()#|~&@$!^]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=//)|(?i:\bwww)(?=\.)|\bGH(?=-\d)"
)
_QUOTED = re.compile("`([^`]+)`")
_INVISIBLE = "&#8203;"  # a space without width


def render(report: SuiteReport) -> str:
    """The verdict, a table of the test files, and the findings by kind, errors unfolded. Shorter than 65,536 characters.

    What does not fit is left out from the end, and how much that is is said.
    """
    head = [
        MARK,
        f"### testing-crew: {_text(verdict(report).lower())}",
        "",
        f"{_text(summary(report))}.",
        "",
    ]
    tail = [
        f"<sub>Noticed: small changes of the code that made an assertion fail. Made by {_text(made(report))}.</sub>"
    ]
    page = _Page(_MOST - _length(tail))
    page.add(head)
    if report.tests:
        page.add(_table_head())
        page.add_some([_row(row(each)) for each in report.tests], _OF_TABLE, "| {more} | | | | | | |")
        page.add([""])
    groups = [
        (
            f"<details{' open' if level == 'error' else ''}>",
            KINDS[code].title,
            level,
            [_finding(each) for each in found],
        )
        for (level, code), found in groupby(ordered(report.findings), key=lambda each: (each.level, each.code))
    ]
    if report.modules:
        groups.append(("<details>", "Modules", "module", [_module(each) for each in report.modules]))
    for left, (fold, title, noun, lines) in enumerate(groups, 1 - len(groups)):
        opening = f"{fold}<summary><b>{title}</b>: {several(len(lines), noun)}</summary>"
        page.add_folded(opening, lines, kept_free=-left * _OF_FOLDED)
    return "\n".join([*page.lines, *tail]) + "\n"


class _Page:
    """Lines of at most ``room`` characters in all, line ends counted in."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.lines: list[str] = []

    def add(self, lines: Sequence[str]) -> None:
        self.lines += lines
        self.room -= _length(lines)

    def add_some(self, lines: Sequence[str], room: int, rest: str) -> None:
        """As many as go into ``room``; then ``rest``, which says at ``{more}`` how many are left out."""
        kept = list(_fitting(lines, room - len(rest) - 40))
        self.add(kept)
        if len(kept) < len(lines):
            self.add([rest.format(more=f"… and {len(lines) - len(kept):,} more")])

    def add_folded(self, opening: str, lines: Sequence[str], kept_free: int) -> None:
        """A list that can be folded, with as many of its lines as leave ``kept_free`` characters."""
        ending = ["", "</details>", ""]
        self.add([opening, ""])
        self.add_some(lines, self.room - kept_free - _length(ending), "- {more}")
        self.add(ending)


def _length(lines: Sequence[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _fitting(lines: Sequence[str], room: int) -> Iterator[str]:
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            return
        yield line


def _table_head() -> list[str]:
    return [f"| {' | '.join(_COLUMNS)} |", "| :-- | :-- | :-- | --: | --: | --: | :-- |"]


def _row(told: Row) -> str:
    why = "<br>".join(_text(says) for says, _ in told.why)
    cells = (
        _code(told.path),
        "yes" if told.accepted else "**no**",
        why,
        told.lines,
        told.branches,
        told.noticed,
        told.flaky,
    )
    return f"| {' | '.join(cells)} |"


def _finding(finding: Finding) -> str:
    mend = f"<br><i>{_text(finding.mend)}</i>" if finding.mend else ""
    name = f" {_code(finding.name)}" if finding.name not in finding.message else ""
    return f"- {_code(place(finding))}{name} {_text(finding.message)}{mend}"


def _module(module: ModuleReport) -> str:
    by = ", ".join(_code(each) for each in module.tests[:3])
    more = f" and {len(module.tests) - 3} more" if len(module.tests) > 3 else ""
    told = [*figures(module), *[f"tested by {by}{more}"] * bool(by)]
    return f"- {_code(module.path)}: {'; '.join(told)}"


def _code(text: str) -> str:
    """``text`` as code: there GitHub and GitLab look for no names of people and no numbers of issues."""
    return f"<code>{_harmless(_flat(text), calls='')}</code>"


def _text(text: str) -> str:
    """``text`` on one line, what is between backticks as code. Nothing in it is Markdown, HTML, a link, or calls anybody."""
    parts = _QUOTED.split(_flat(text))  # every other part was between backticks
    return "".join(_code(part) if n % 2 else _harmless(part, calls=_INVISIBLE) for n, part in enumerate(parts))


def _flat(text: str) -> str:
    return " ".join(clipped(clean(text), _LONGEST).split())


def _harmless(text: str, calls: str) -> str:
    """``text`` with entities; ``calls`` follows an @ and a #, which are looked for in the finished page too."""

    def entity(found: re.Match[str]) -> str:
        piece = found[0]
        if piece == ":" or len(piece) > 1:
            return piece + _INVISIBLE
        return f"&#{ord(piece)};" + (calls if piece in "@#" else "")

    return _SPECIAL.sub(entity, text)
