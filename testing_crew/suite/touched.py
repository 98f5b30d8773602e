"""The runs behind a change's report: each changed test on its own, and the changed lines against the tests about them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from testing_crew.check import plan_of
from testing_crew.errors import SandboxError, UserMistake
from testing_crew.gate.gate import Judgement
from testing_crew.gate.text import read
from testing_crew.mutation.fates import try_mutants
from testing_crew.mutation.operators import Mutant, mutants, sample
from testing_crew.mutation.text import OTHER
from testing_crew.mutation.trial import Trial
from testing_crew.project.syntax import UNREADABLE
from testing_crew.runner.plan import Plan, Variation
from testing_crew.runner.run import Execution
from testing_crew.suite.change import FileChange
from testing_crew.suite.find import has_functions
from testing_crew.suite.pair import Change, Judge, Project, changes, pair_report, relative, survivors
from testing_crew.suite.reading.texts import Text
from testing_crew.suite.records import FileReport, Finding, ModuleReport, Survivor

MOST_ALONE = 20  # mutants of one module that one test is tried against alone
MOST_FINDINGS = 20  # of one kind and one module
_USABLE = ("passed", "skipped")  # what a skip leaves is still run against the change
_NOTICED = ("killed", "raised", "timed_out")


def hollow_tests(
    judge: Judge, project: Project, test: Path, modules: Sequence[Path], change: FileChange
) -> list[Finding]:
    """The changed tests of the file ``test`` of which no assertion fails whatever is changed in ``modules``, each run alone.

    Of each module that a test runs, at most `MOST_ALONE` mutants of the lines that it runs are tried. A test that runs no line
    of a module is hollow; one is not where there was nothing to try.
    """
    try:
        text = Text(read(change.new))
        plans = [plan_of(test, module, project.python)[0] for module in modules]
    except (UserMistake, *UNREADABLE):
        return []
    changed = [name for name, _ in change.names if name in text.tests]
    runs = [(plan, judge.runner.execute(plan)) for plan in plans] if changed else []

    def seen(name: str) -> str:
        said = ""
        for plan, run in runs:
            cases = frozenset(case.node for case in run.run.cases if _function(case.node) == name)
            if not cases:
                return ""
            noticed, tried = _notices(judge, plan, run, cases)
            if noticed:
                return ""
            if tried:
                said = f"no assertion of it fails for any of {tried} small changes of the lines that it runs"
            elif not any(cases & reached for reached in run.reached.values()):
                said = said or f"it runs no line of {relative(plan.code.path or plan.code.module, judge.root)}"
        return said

    with judge.runner.side_by_side() as threads:
        said = list(threads.map(seen, changed))
    return [
        Finding(
            code="hollow",
            level="error",
            path=relative(test, judge.root),
            line=text.functions[name].lineno,
            message=f"{name} notices nothing: {says}",
            mend="assert the exact result that it is about",
            name=name,
        )
        for name, says in zip(changed, said, strict=True)
        if says
    ]


def _function(node: str) -> str:
    return node.partition("[")[0].replace("::", ".")


def _notices(judge: Judge, plan: Plan, run: Execution, cases: frozenset[str]) -> tuple[bool, int]:
    """Whether an assertion of ``cases`` alone fails for some mutant, and how many were tried until then."""
    trial = Trial(judge.runner, plan, run)
    found = mutants(plan.code.source, plan.range)
    own = [each for each in found if any(cases & run.reached.get(line, frozenset()) for line in trial.lines(each))]
    if not own:  # constants: what an import alone runs
        own = [each for each in found if any("" in run.reached.get(line, ()) for line in trial.lines(each))]
    tried = 0
    for mutant in sample(own, MOST_ALONE):
        alone = Variation(measure=False, source=mutant.source, only=cases, stop_first=True, wall_seconds=_patience(run))
        made = judge.runner.execute(plan, alone)
        if any(case.claim for case in made.run.cases):
            return True, tried + 1
        without_effect = made.mutant is not None and not made.mutant.changed and OTHER in mutant.edit.new
        tried += not without_effect
    return False, tried


def _patience(run: Execution) -> float:
    return max(2.0, 10 * run.run.duration)


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
    if not seen.about:
        return report, [] if seen.failing else _no_tests(seen.name, change), seen.failing
    return report, [*_uncovered(seen.name, change, seen.missed), *_unnoticed(report)], seen.failing


@dataclass
class _Seen:
    """What the test files so far see of a change: ``left`` are the mutants that none noticed, ``missed`` the lines not run."""

    name: str
    change: FileChange
    about: list[str] = field(default_factory=list)
    failing: list[FileReport] = field(default_factory=list)
    left: dict[Change, Survivor] = field(default_factory=dict)
    missed: frozenset[int] = frozenset()
    tried: int = 0

    def look(self, judge: Judge, test: Path, module: Path, project: Project) -> None:
        """Run ``test`` against the mutants that are left, those of all changed lines if it is the first."""
        path = relative(test, judge.root)
        began = time.monotonic()
        try:
            plan, _ = plan_of(test, module, project.python)
            run = judge.runner.execute(plan)
        except (UserMistake, SandboxError) as error:
            self.failing.append(FileReport(path=path, accepted=False, trouble=error.message, hint=error.hint or ""))
            return
        if run.run.verdict not in _USABLE:
            refused = Judgement(run.run, False, (f"not_passed:{run.run.verdict}",))
            report = pair_report(plan, refused, judge.root, time.monotonic() - began)
            self.failing.append(FileReport(path=path, accepted=False, targets=(report,)))
            return
        unseen = self.change.lines.intersection(run.run.coverage.missed_lines)
        lines = frozenset(each.line for each in self.left.values()) if self.about else self.change.lines
        limit = None if self.about else judge.options.mutants
        fates = try_mutants(judge.runner, plan, run, limit=limit, lines=lines) if lines else None
        told = changes(fates)
        if fates is not None and not self.about:
            own = {_key(each): each for each in survivors(fates, self.name) if _within(each, lines)}
            noticed = [mutant for mutant, fate in fates.of if fate in _NOTICED and _on(mutant, lines)]
            self.left, self.tried = own, len(own) + len(noticed)
        else:
            alike = [key for key in self.left if told.get(key) == "equivalent"]
            self.tried -= len(alike)
            self.left = {key: each for key, each in self.left.items() if told.get(key) not in (*_NOTICED, "equivalent")}
        self.missed = self.missed & unseen if self.about else unseen
        self.about.append(path)


def _key(each: Survivor) -> Change:
    return each.line, each.column, each.before, each.after


def _within(each: Survivor, lines: frozenset[int]) -> bool:
    """Whether the changed text itself stands on one of ``lines``, and not only its statement."""
    return not lines.isdisjoint(range(each.line, each.last_line + 1))


def _on(mutant: Mutant, lines: frozenset[int]) -> bool:
    first, _, last, _ = mutant.place
    return not lines.isdisjoint(range(first, last + 1))


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
