"""What all test files about one module see of it together, and what is worth a look in a suite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, get_args

from testing_crew.mutation.trial import Fate
from testing_crew.suite.find import has_functions
from testing_crew.suite.pair import Change, Options, Pair
from testing_crew.suite.records import FileReport, Finding, ModuleReport, Survivor

MOST_UNNOTICED = 20  # of one module that become findings
NOTICED = ("killed", "raised", "timed_out")  # the fates of a change that made a test fail
_NOTICES_ALL_THE_SAME = {"no_mutant_killed", "always_equal", "no_assertion_about_target"}
_T = TypeVar("_T")


def unnoticed(pairs: Iterable[Pair]) -> set[Change]:
    """The changes of one module that none of its ``pairs`` notices.

    A change that made no difference where it was run, and that the other files do not run at all, makes none.
    """
    by_fate: dict[str, set[Change]] = {fate: set() for fate in get_args(Fate)}
    for pair in pairs:
        for change, fate in pair.fates.items():
            by_fate[fate].add(change)
    return (by_fate["survived"] | (by_fate["unreached"] - by_fate["equivalent"])) - noticed(pairs)


def noticed(pairs: Iterable[Pair]) -> set[Change]:
    """The changes that made a test fail, of a file that is accepted or refused for what has no bearing on that.

    Another (one that fails now and then, or looks at how it is run) may fail for another cause.
    """
    able = [pair for pair in pairs if {each.code for each in pair.report.reasons} <= _NOTICES_ALL_THE_SAME]
    return {change for pair in able for change, fate in pair.fates.items() if fate in NOTICED}


def key_of(survivor: Survivor) -> Change:
    """The change that ``survivor`` tells of, as `pair.change_of` has it."""
    return survivor.line, survivor.column, survivor.before, survivor.after


def module_report(path: str, pairs: Sequence[Pair], glances: Sequence[Pair] = ()) -> ModuleReport:
    """What the ``pairs`` of the module ``path`` see of it together; ``glances`` are of files about other modules."""
    described: dict[Change, Survivor] = {}
    for each in (survivor for pair in pairs for survivor in pair.report.survivors):
        key = key_of(each)
        described[key] = each if each.reached else described.get(key, each)
    seen, unseen = noticed([*pairs, *glances]), unnoticed([*pairs, *glances])
    coverages = [pair.report.coverage for pair in (*pairs, *glances)]
    measured = [each for each in coverages if each.line is not None]
    return ModuleReport(
        path=path,
        tests=tuple(pair.test for pair in pairs),
        missed_lines=tuple(sorted(_common([set(each.missed_lines) for each in measured]))),
        tried=len(seen | unseen),
        noticed=len(seen),
        lines=_together([(each.line, set(each.missed_lines)) for each in measured]),
        branches=_together([(each.branch, set(each.missed_branches)) for each in measured]),
        survivors=tuple(described[change] for change in sorted(unseen) if change in described),
    )


def _common(sets: Sequence[set[_T]]) -> set[_T]:
    return set.intersection(*sets) if sets else set()


def _together(measured: Sequence[tuple[float | None, set[_T]]]) -> float | None:
    """The share that the runs reach together: each says what share of the same things it reached, and which it missed."""
    shares = [(share, missed) for share, missed in measured if share is not None]
    if not shares:
        return None
    sizes = [len(missed) / (1 - share) for share, missed in shares if share < 1]
    return 1.0 if len(sizes) < len(shares) else 1 - len(_common([missed for _, missed in shares])) / sizes[0]


def file_findings(files: Iterable[FileReport]) -> list[Finding]:
    """Of each test file what is wrong with it, and what it found of the code: at most one finding of each kind for a thing."""
    found: list[Finding] = []
    suspects: set[tuple[str, str]] = set()
    for file in files:
        main = file.main
        if file.trouble:
            found.append(Finding(code="not_run", level="error", path=file.path, message=file.trouble, mend=file.hint))
        elif main is not None and not file.accepted:
            says = "; ".join(dict.fromkeys(reason.says for reason in main.reasons))
            failed = f" ({main.failures[0]})" if main.failures else ""
            first = main.reasons[0] if main.reasons else None
            found.append(
                Finding(
                    code="not_accepted",
                    level="error",
                    path=file.path,
                    message=f"not accepted as a test of {main.target}: {says}{failed}",
                    mend=first.mend if first else "",
                    reason=first.code if first else "",
                )
            )
        for target in file.targets:
            for suspect in target.suspects:
                if (target.target, suspect) not in suspects:
                    suspects.add((target.target, suspect))
                    found.append(
                        Finding(
                            code="suspect",
                            level="warning",
                            path=target.target,
                            message=f"the code may be wrong: {suspect}",
                            mend="decide whether the docstring or the code is right, and mend that one",
                            test=file.path,
                        )
                    )
    return found


def module_findings(
    module: ModuleReport, options: Options, root: Path, run_by: Sequence[str], files: Mapping[str, FileReport]
) -> list[Finding]:
    """What is worth a look of one module. ``run_by`` are test files that run lines of it without being about it."""
    found: list[Finding] = []
    if not module.tests and has_functions(root / module.path):
        way = f"; {run_by[0]} runs lines of it by way of other modules" if run_by else ""
        found.append(
            Finding(
                code="no_tests",
                level="warning",
                path=module.path,
                message=f"no test file is about it{way}",
                mend=f"testing-crew write {module.path}",
            )
        )
    for survivor in module.survivors[:MOST_UNNOTICED]:
        found.append(
            Finding(
                code="unnoticed",
                level="warning",
                path=module.path,
                line=survivor.line,
                last_line=survivor.last_line,
                message=f"no test notices this change: {survivor.text.partition(': ')[2]}",
                mend="assert what is different then"
                if survivor.reached
                else "no test runs this line: write one that does",
                test=module.tests[0] if len(module.tests) == 1 else "",
            )
        )
    more = len(module.survivors) - MOST_UNNOTICED
    if more > 0:
        message = f"{more} further changes of it go unnoticed"
        found.append(Finding(code="unnoticed", level="note", path=module.path, message=message))
    return [*found, *_below(module, options, root, files)]


def _below(module: ModuleReport, options: Options, root: Path, files: Mapping[str, FileReport]) -> list[Finding]:
    """Which figures of the module are below the thresholds; one that no accepted test file is about has none above 0."""
    accepted = any(files[test].accepted for test in module.tests if test in files)
    nothing = 0.0 if not accepted and has_functions(root / module.path) else None
    noticed = module.noticed / module.tried if module.tried else nothing
    figures = (
        ("least_noticed", options.least_noticed, noticed, "of the changes of it make a test fail"),
        ("least_lines", options.least_lines, nothing if module.lines is None else module.lines, "of its lines run"),
        ("least_branches", options.least_branches, module.branches, "of its branches are taken"),
    )
    return below(module.path, figures)


def below(path: str, figures: Iterable[tuple[str, float, float | None, str]]) -> list[Finding]:
    """Which ``figures`` of a module are below what the settings ask for.

    Each is the setting's name, what it asks for, what there is (None: nothing to say), and what that is a share of.
    """
    return [
        Finding(
            code="below",
            level="error",
            path=path,
            message=f"{share:.0%} {what}, and [check] {name} asks for {least:.0%}",
            mend="write tests for what is missed; the report lists it",
        )
        for name, least, share, what in figures
        if share is not None and share < least
    ]
