"""A report as GitHub's workflow commands: annotations on the lines of a pull request.

GitHub shows ten errors, ten warnings and ten notices of a step; the log has all that are printed. So the most important come
first, and the last notice says how many there are in all.
"""

from __future__ import annotations

from typing import Literal

from testing_crew.suite.formats.words import (
    KINDS,
    at_level,
    clean,
    clipped,
    in_repository,
    ordered,
    sentence,
    several,
    summary,
    verdict,
)
from testing_crew.suite.records import Finding, SuiteReport

_MOST_SHOWN = 10
_LONGEST = 4000  # characters of a message
_Command = Literal["error", "warning", "notice"]


def render(report: SuiteReport) -> str:
    """The commands, one a line: a notice with the verdict, the findings, and a notice of how many there are.

    Of the notes only as many as leave room for those two notices.
    """
    found = ordered(report.findings)
    loud = [each for each in found if each.level != "note"]
    notes = [each for each in found if each.level == "note"]
    lines = [_command("notice", f"{verdict(report)}: {summary(report)}", title="testing-crew")]
    lines += [_annotation(report, each) for each in [*loud, *notes[: _MOST_SHOWN - 2]]]
    if found:
        lines.append(_command("notice", _all_told(report), title="testing-crew"))
    return "\n".join(lines) + "\n"


def _all_told(report: SuiteReport) -> str:
    counts = {"error": at_level(report, "error"), "warning": at_level(report, "warning")}
    told = [several(number, level) for level, number in counts.items() if number]
    told += [several(notes, "note") for notes in [at_level(report, "note")] if notes]
    more = any(number > _MOST_SHOWN for number in counts.values())
    seen = f". GitHub shows the first {_MOST_SHOWN} of each kind here; the step's log has them all" if more else ""
    return f"{', '.join(told)} in all{seen}"


def _annotation(report: SuiteReport, finding: Finding) -> str:
    path = in_repository(report, finding.path)
    message = "\n".join(part for part in (sentence(finding), finding.mend) if part)
    properties: dict[str, str] = {}
    if path is not None:
        properties["file"] = path
        if finding.line is not None:
            properties["line"] = str(finding.line)
            properties["endLine"] = str(finding.last_line or finding.line)
    else:
        message = f"{finding.path}: {message}"
    properties["title"] = KINDS[finding.code].title
    level: _Command = "notice" if finding.level == "note" else finding.level
    return _command(level, message, **properties)


def _command(name: _Command, message: str, **properties: str) -> str:
    """``::name key=value,key=value::message``, escaped as GitHub's own toolkit does it."""
    told = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name} {told}::{_data(clipped(clean(message), _LONGEST))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(clean(text)).replace(":", "%3A").replace(",", "%2C")
