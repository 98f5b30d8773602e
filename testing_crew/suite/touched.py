"""What the tests see of the changed lines of a module: small changes of these lines, against the test files about it."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from testing_crew.check import plan_of
from testing_crew.errors import SandboxError, UserMistake
from testing_crew.gate.gate import Judgement
from testing_crew.mutation.fates import try_mutants
from testing_crew.suite.change import FileChange
from testing_crew.suite.find import has_functions
from testing_crew.suite.modules import NOTICED, below, key_of
from testing_crew.suite.pair import (
    Change,
    Judge,
    Options,
    Pair,
    Project,
    changes,
    pair_report,
    read,
    relative,
    told_from,
    written,
)
from testing_crew.suite.records import FileReport, Finding, ModuleReport, Survivor

MOST_FINDINGS = 20  # of one kind and one module
USABLE = ("passed", "skipped")  # what a skip leaves is still run against the change


def code_seen(
    judge: Judge,
    project: Project,
    module: Path,
    change: FileChange,
    first: Sequence[Path],
    others: Iterable[Path],
) -> tuple[ModuleReport, list[Finding], list[FileReport]]:
    """What the tests see of the changed lines of ``module``, and test files about it that do not pass.

    ``first`` are the test files that import it or are named after it; ``others`` may run it by way of other modules, and are
    asked only for what the first leave unseen. The report's figures are of the changed lines alone.
    """
    seen = _Seen(relative(module, judge.root), change)
    for test in chain(first, others):
        direct = test in first
        if not direct and seen.about and not seen.left and not seen.missed:
            break
        survey = judge.look(test, project)
        if survey.trouble and direct:
            path = relative(test, judge.root)
            seen.failing.append(FileReport(path=path, accepted=False, trouble=survey.trouble, hint=survey.hint))
        elif survey.touched.get(str(module), 0) > 0 or (direct and not survey.trouble and not has_functions(module)):
            seen.look(judge, test, module, project)
    report = ModuleReport(
        path=seen.name,
        tests=tuple(seen.about),
        missed_lines=tuple(sorted(seen.missed)),
        tried=seen.tried,
        noticed=seen.tried - len(seen.left),
        survivors=tuple(seen.left[key] for key in sorted(seen.left)),
    )
    too_low = _below(report, seen, judge.options)
    if not seen.about:
        return report, [] if seen.failing else [*_no_tests(seen.name, change), *too_low], seen.failing
    return report, [*_uncovered(seen.name, change, seen.missed), *_unnoticed(report), *too_low], seen.failing


@dataclass
class _Seen:
    """What the test files so far see of a change: ``left`` are the mutants that none noticed, ``missed`` the lines not run."""

    name: str
    change: FileChange
    about: list[str] = field(default_factory=list)
    failing: list[FileReport] = field(default_factory=list)
    left: dict[Change, Survivor] = field(default_factory=dict)
    missed: frozenset[int] = frozenset()
    ran: frozenset[int] = frozenset()
    tried: int = 0

    def look(self, judge: Judge, test: Path, module: Path, project: Project) -> None:
        """Run ``test`` against the mutants that are left, those of all changed lines if it is the first."""
        path = relative(test, judge.root)
        lines = frozenset(each.line for each in self.left.values()) if self.about else self.change.lines
        limit = None if self.about else judge.options.mutants
        try:
            pair, ran = _against(judge, test, module, project, lines, limit)
        except (UserMistake, SandboxError) as error:
            self.failing.append(FileReport(path=path, accepted=False, trouble=error.message, hint=error.hint or ""))
            return
        if pair.report.verdict not in USABLE:
            self.failing.append(FileReport(path=path, accepted=False, targets=(pair.report,)))
            return
        fates = pair.fates
        if not self.about:
            self.left = {key_of(each): each for each in pair.report.survivors if _within(each, lines)}
            noticed = [change for change, fate in fates.items() if fate in NOTICED and _on(change, lines)]
            self.tried = len(self.left) + len(noticed)
        else:
            alike = [key for key in self.left if fates.get(key) == "equivalent"]
            self.tried -= len(alike)
            self.left = {key: each for key, each in self.left.items() if fates.get(key) not in (*NOTICED, "equivalent")}
        unseen = self.change.lines.intersection(pair.report.coverage.missed_lines)
        self.missed = self.missed & unseen if self.about else unseen
        self.ran |= self.change.lines & ran
        self.about.append(path)


def _against(
    judge: Judge, test: Path, module: Path, project: Project, lines: frozenset[int], limit: int | None
) -> tuple[Pair, frozenset[int]]:
    """What ``test`` sees of at most ``limit`` changes of ``lines`` of ``module``, and which lines it runs; raises as `plan_of`.

    A file that passes is taken from the cache where nothing has changed since.
    """
    path = relative(test, judge.root)
    kind = f"lines {hashlib.sha256(repr((sorted(lines), limit)).encode()).hexdigest()}"
    kept = project.cache.read(kind, test, module)
    if isinstance(kept, dict) and (found := read(path, kept.get("pair"))) is not None:
        return told_from(found, module, judge.root), frozenset(kept.get("ran", ()))
    began = time.monotonic()
    plan, _ = plan_of(test, module, project.python)
    run = judge.runner.execute(plan)
    usable = run.run.verdict in USABLE
    fates = try_mutants(judge.runner, plan, run, limit=limit, lines=lines) if usable and lines else None
    reasons = () if usable else (f"not_passed:{run.run.verdict}",)
    judged = Judgement(run.run, False, reasons, fates=fates)
    pair = Pair(path, pair_report(plan, judged, judge.root, time.monotonic() - began), changes(fates))
    if usable:
        project.cache.write({"pair": written(pair), "ran": sorted(run.reached)}, kind, test, module)
    return pair, frozenset(run.reached)


def _within(each: Survivor, lines: frozenset[int]) -> bool:
    """Whether the changed text itself stands on one of ``lines``, and not only its statement."""
    return not lines.isdisjoint(range(each.line, each.last_line + 1))


def _on(change: Change, lines: frozenset[int]) -> bool:
    first, _, before, _ = change
    return not lines.isdisjoint(range(first, first + before.count("\n") + 1))


def _below(module: ModuleReport, seen: _Seen, options: Options) -> list[Finding]:
    """Which figures of the changed lines are below the thresholds; of a file that fails others tell."""
    nothing = 0.0 if not seen.about and not seen.failing and seen.change.functions and seen.change.lines else None
    lines = len(seen.ran - seen.missed) / counted if (counted := len(seen.ran | seen.missed)) else nothing
    figures = (
        ("least_noticed", options.least_noticed, module.noticed / module.tried if module.tried else nothing,
         "of the small changes of the changed lines make a test fail"),
        ("least_lines", options.least_lines, lines, "of the changed lines run"),
    )  # fmt: skip
    return below(module.path, figures)


def _no_tests(name: str, change: FileChange) -> list[Finding]:
    functions = [(each, line) for each, line in change.names if each in change.functions]
    found = [
        Finding(
            code="no_tests",
            level="warning",
            path=name,
            line=line,
            message=f"{each} was {'added' if each in change.added else 'changed'}, and no test file is about its module",
            mend=f"testing-crew write {name}",
            name=each,
        )
        for each, line in functions[:MOST_FINDINGS]
    ]
    if not functions and change.lines and change.functions:
        says = "it was changed, and no test file is about it"
        mend = f"testing-crew write {name}"
        found.append(Finding(code="no_tests", level="note", path=name, line=min(change.lines), message=says, mend=mend))
    return found


def _uncovered(name: str, change: FileChange, missed: frozenset[int]) -> list[Finding]:
    """One finding for each run of lines that nothing runs."""
    spans: list[list[int]] = []
    for line in sorted(missed):
        if spans and line - spans[-1][1] <= 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    text = change.new.split("\n")
    return [
        Finding(
            code="uncovered",
            level="warning",
            path=name,
            line=first,
            last_line=last,
            message=f"no test runs this changed line: `{text[first - 1].strip()}`"
            if first == last
            else f"no test runs these {last - first + 1} changed lines, from `{text[first - 1].strip()}`",
            mend="write a test that runs it, and asserts what it does",
        )
        for first, last in spans[:MOST_FINDINGS]
    ]


def _unnoticed(report: ModuleReport) -> list[Finding]:
    """One finding for each line; of lines that no test runs that is said already."""
    by_line: dict[int, list[Survivor]] = defaultdict(list)
    for each in report.survivors:
        if each.line not in report.missed_lines:
            by_line[each.line].append(each)
    found = []
    for line, several in sorted(by_line.items())[:MOST_FINDINGS]:
        more = f" (and {len(several) - 1} more on this line)" if len(several) > 1 else ""
        found.append(
            Finding(
                code="unnoticed",
                level="warning",
                path=report.path,
                line=line,
                last_line=several[0].last_line,
                message=f"no test notices {several[0].text}{more}",
                mend="assert what is different then",
                test=report.tests[0] if len(report.tests) == 1 else "",
            )
        )
    return found
