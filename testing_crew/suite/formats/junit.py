"""A report as JUnit's XML, which GitLab, Jenkins, Azure DevOps and most others show as tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from xml.etree import ElementTree as etree

from testing_crew.suite.formats.words import KINDS, clean, ordered, place, summary
from testing_crew.suite.records import FileReport, SuiteReport, TargetReport

_OF_FILES = ("not_accepted", "not_run")  # what the cases of the test files say already


def render(report: SuiteReport) -> str:
    """One suite with a case for each test file and module, and one for each further finding that is an error.

    A failure is a file that is not accepted; an error one that could not be run. A module that a file is not accepted for,
    while it is for another, is skipped: the file is accepted. ``time`` is in seconds.
    """
    cases = [case for file in report.tests for case in _cases(file)]
    cases += [
        _case(
            each.path,
            f"{KINDS[each.code].title}: {each.name or place(each)}",
            failure=(each.code, each.message, each.mend),
        )
        for each in ordered(report.findings)
        if each.level == "error" and each.code not in _OF_FILES
    ]
    if not report.complete:
        cases.append(_case("testing-crew", "complete", error=("stopped", "stopped before all was judged", "")))
    counts = {
        "tests": str(len(cases)),
        "failures": _count(cases, "failure"),
        "errors": _count(cases, "error"),
        "skipped": _count(cases, "skipped"),
        "time": f"{report.seconds:.3f}",
    }
    suites = etree.Element("testsuites", {"name": "testing-crew", **counts})
    suite = etree.SubElement(suites, "testsuite", {"name": "testing-crew", **counts})
    told = {"made_by": report.made_by, "passed": str(report.passed).lower(), "summary": summary(report)}
    for module in report.modules:
        told[f"noticed {module.path}"] = f"{module.noticed} of {module.tried}"
    suite.append(_properties(told))
    suite.extend(cases)
    etree.indent(suites, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + etree.tostring(suites, encoding="unicode") + "\n"


def _count(cases: Iterable[etree.Element], what: str) -> str:
    return str(sum(case.find(what) is not None for case in cases))


def _cases(file: FileReport) -> list[etree.Element]:
    cases = [_of_target(file, target) for target in file.targets]
    if file.trouble:
        cases.append(_case(file.path, "run", error=("not_run", file.trouble, file.hint)))
    elif not cases:  # a file about no module: its own case says whether it is accepted
        failure = None if file.accepted else ("not_accepted", "it is about no module of the project", "")
        cases.append(_case(file.path, "accepted", failure=failure))
    return cases


def _of_target(file: FileReport, target: TargetReport) -> etree.Element:
    against = None
    if not target.accepted:
        first = target.reasons[0] if target.reasons else None
        code, says = (first.code, first.says) if first else ("not_accepted", "it is not accepted")
        against = (code, says, _text(target))
    skipped = against is not None and file.accepted
    return _case(
        file.path,
        target.target,
        failure=None if skipped else against,
        skipped=against if skipped else None,
        seconds=target.seconds,
        properties=_figures(target),
    )


def _text(target: TargetReport) -> str:
    lines = [f"{each.says}\n    {each.mend}" if each.mend else each.says for each in target.reasons]
    lines += [*target.failures, *(f"note: {each}" for each in target.notes)]
    lines += [f"no test noticed {each.text}" for each in target.survivors]
    return "\n".join(lines)


def _figures(target: TargetReport) -> dict[str, str]:
    found = {"verdict": target.verdict, "cached": str(target.cached).lower()}
    if target.coverage.line is not None:
        found["line_coverage"] = f"{target.coverage.line:.4f}"
    if target.coverage.branch is not None:
        found["branch_coverage"] = f"{target.coverage.branch:.4f}"
    if target.mutants is not None:
        found["mutants_noticed"] = str(target.mutants.killed)
        found["mutants_tried"] = str(target.mutants.counted)
    if target.stability is not None:
        found["runs_passed"] = f"{target.stability.passed} of {target.stability.runs}"
    return found


_Said = tuple[str, str, str]  # a type for machines, a sentence, more lines


def _case(
    path: str,
    name: str,
    *,
    failure: _Said | None = None,
    error: _Said | None = None,
    skipped: _Said | None = None,
    seconds: float = 0.0,
    properties: Mapping[str, str] | None = None,
) -> etree.Element:
    case = etree.Element("testcase", {"classname": clean(path), "name": clean(name), "time": f"{seconds:.3f}"})
    case.set("file", clean(path))  # GitLab links it
    if properties:
        case.append(_properties(properties))
    for tag, said in (("failure", failure), ("error", error), ("skipped", skipped)):
        if said is not None:
            kind, message, more = map(clean, said)
            etree.SubElement(case, tag, {"type": kind, "message": message}).text = more or message
    return case


def _properties(told: Mapping[str, str]) -> etree.Element:
    properties = etree.Element("properties")
    for name, value in told.items():
        etree.SubElement(properties, "property", {"name": clean(name), "value": clean(value)})
    return properties
