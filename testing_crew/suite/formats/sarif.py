"""A report as SARIF 2.1.0, which GitHub's code scanning, Azure DevOps and editors read."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from testing_crew.errors import UserMistake
from testing_crew.project.code import read_source, source_lines
from testing_crew.suite.formats.words import KINDS, clean, in_repository, ordered, sentence
from testing_crew.suite.records import Finding, FindingCode, Level, SuiteReport, Survivor

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "SRCROOT"
_FINGERPRINT = "testingCrew/v1"
_USUAL: dict[FindingCode, Level] = {"not_accepted": "error", "not_run": "error", "below": "error", "weakened": "error"}
_RULES = list(KINDS)


def render(report: SuiteReport) -> str:
    """One run, as JSON. Paths are relative to the repository that ``report.root`` lies in, by the base ``SRCROOT``.

    A finding about a whole file stands on its first line, since GitHub leaves out what has no line. The fingerprint
    ``testingCrew/v1`` stays when the lines above change.
    """
    prints = _Fingerprints(report)
    top = Path(report.root)
    for _ in range((in_repository(report, "x") or "").count("/")):
        top = top.parent
    run = {
        "tool": {"driver": _driver(report)},
        "automationDetails": {"id": "testing-crew/"},
        "invocations": [{"executionSuccessful": report.complete}],
        "originalUriBaseIds": {_ROOT: {"uri": top.as_uri().rstrip("/") + "/"}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(report, each, prints) for each in ordered(report.findings)],
        "properties": _properties(report),
    }
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _driver(report: SuiteReport) -> dict[str, Any]:
    name, _, version = clean(report.made_by).rpartition(" ")
    rules = [
        {
            "id": code,
            "name": "".join(word.title() for word in code.split("_")),
            "shortDescription": {"text": kind.title},
            "fullDescription": {"text": kind.about},
            "help": {"text": kind.about},
            "defaultConfiguration": {"level": _USUAL.get(code, "warning")},
        }
        for code, kind in KINDS.items()
    ]
    return {"name": "testing-crew", **({"version": version} if name else {}), "rules": rules}


def _properties(report: SuiteReport) -> dict[str, Any]:
    modules = {
        each.path: {"noticed": each.noticed, "tried": each.tried, "missedLines": len(each.missed_lines)}
        for each in report.modules
    }
    return {"passed": report.passed, "comparedWith": report.rev, "modules": modules}


def _result(report: SuiteReport, finding: Finding, prints: _Fingerprints) -> dict[str, Any]:
    path = in_repository(report, finding.path)
    artifact = {"uri": Path(finding.path).as_uri()} if path is None else {"uri": quote(path), "uriBaseId": _ROOT}
    region: dict[str, int] = {"startLine": finding.line or 1}
    if finding.line is not None:
        region["endLine"] = finding.last_line or finding.line
        survivor = _survivor(report, finding)
        if survivor is not None:
            region["startColumn"] = survivor.column + 1
    told = {key: getattr(finding, key) for key in ("reason", "name", "test") if getattr(finding, key)}
    return {
        "ruleId": finding.code,
        "ruleIndex": _RULES.index(finding.code),
        "level": finding.level,
        "message": {
            "text": clean("\n".join(part for part in (sentence(finding), finding.mend) if part)) or finding.code
        },
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
        "partialFingerprints": {_FINGERPRINT: prints.of(finding)},
        **({"properties": {key: clean(value) for key, value in told.items()}} if told else {}),
    }


def _survivor(report: SuiteReport, finding: Finding) -> Survivor | None:
    """The change that an ``unnoticed`` finding is about; None where it is not sure which."""
    if finding.code != "unnoticed":
        return None
    of_line = [
        survivor
        for module in report.modules
        if module.path == finding.path
        for survivor in module.survivors
        if survivor.line == finding.line
    ]
    named = [each for each in of_line if each.text and each.text in finding.message]
    found = named or of_line
    return found[0] if len(found) == 1 else None


class _Fingerprints:
    """What stays of a finding when it moves: its file, kind and name, the text of its line, and the change that it is about.

    Two that are alike in all of it are told apart by their order in the file.
    """

    def __init__(self, report: SuiteReport) -> None:
        self._report = report
        self._lines: dict[str, list[str]] = {}
        self._seen: Counter[str] = Counter()

    def of(self, finding: Finding) -> str:
        survivor = _survivor(self._report, finding)
        change = (str(survivor.column), survivor.before, survivor.after) if survivor else ()
        parts = (finding.path, finding.code, finding.reason, finding.name, finding.test, self._line(finding), *change)
        key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        self._seen[key] += 1
        return f"{key[:40]}:{self._seen[key]}"

    def _line(self, finding: Finding) -> str:
        if finding.line is None:
            return ""
        if finding.path not in self._lines:
            try:
                text = read_source(Path(self._report.root) / finding.path)
            except UserMistake:  # gone since
                text = ""
            self._lines[finding.path] = source_lines(text)
        lines = self._lines[finding.path]
        return lines[finding.line - 1].strip() if finding.line <= len(lines) else ""
