"""Tests of a change, each run on its own: whether it runs at all, and notices any small change of the code."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from testing_crew.check import plan_of
from testing_crew.errors import UserMistake
from testing_crew.mutation.operators import mutants, sample
from testing_crew.mutation.trial import Trial
from testing_crew.runner.plan import Plan
from testing_crew.runner.run import Execution
from testing_crew.suite.pair import Judge, Project, relative
from testing_crew.suite.reading.affected import Look
from testing_crew.suite.reading.checks import HARDLY
from testing_crew.suite.reading.skips import skips_around, skips_in
from testing_crew.suite.reading.texts import Text
from testing_crew.suite.records import Finding, Level

MOST_ALONE = 20  # mutants of one module that one test is tried against alone
MOST_OTHERS = 30  # tests of one file that are run alone without having changed themselves

Said = tuple[str, str]  # the code of a finding, empty for none, and what it says


def tests_alone(
    judge: Judge, project: Project, test: Path, modules: Sequence[Path], text: Text, look: Look
) -> list[Finding]:
    """Those tests of ``look`` that are not run at all, or of which no assertion fails whatever is changed in ``modules``.

    ``text`` is that of the file ``test``. Each test is run alone: of each module that it runs, at most `MOST_ALONE` mutants of
    the lines that it runs are tried. A test that runs no line of a module is hollow; one is not where there was nothing to try.
    Of the tests that did not change themselves at most `MOST_OTHERS` are run; a note tells of the rest.
    """
    others = sorted(look.others, key=lambda name: text.functions[name].lineno)
    names = [*sorted(look.changed), *others[:MOST_OTHERS]]
    said = _kept(judge, project, test, modules, text, names) if names else {}
    path = relative(test, judge.root)
    found = [_finding(path, text, name, said[name], look) for name in names if said.get(name, ("", ""))[0]]
    left = len(others) - MOST_OTHERS
    if left > 0:
        says = f"{look.because} may affect {left} further tests of it, which were not run alone"
        found.append(Finding(code="hollow", level="note", path=path, message=says))
    return found


def _kept(
    judge: Judge, project: Project, test: Path, modules: Sequence[Path], text: Text, names: Sequence[str]
) -> dict[str, Said]:
    """What is said of each of ``names``, as it was kept or found now."""
    kind = f"alone {hashlib.sha256(repr(sorted(names)).encode('utf-8', 'surrogatepass')).hexdigest()}"
    kept = project.cache.read(kind, test, *modules)
    if isinstance(kept, dict) and kept.keys() == {*names}:
        return {name: (str(code), str(says)) for name, (code, says) in kept.items()}
    try:
        plans = [plan_of(test, module, project.python)[0] for module in modules]
    except UserMistake:
        return {}
    runs = [(plan, judge.runner.execute(plan)) for plan in plans]
    with judge.runner.side_by_side() as threads:
        said = list(threads.map(lambda name: _said(judge, runs, text, name), names))
    found = dict(zip(names, said, strict=True))
    project.cache.write(found, kind, test, *modules)
    return found


def _said(judge: Judge, runs: Sequence[tuple[Plan, Execution]], text: Text, name: str) -> Said:
    said: Said = ("", "")
    for plan, run in runs:
        cases = [case for case in run.run.cases if _function(case.node) == name]
        if not cases:
            return "weakened", "it is not run: pytest does not collect it, or deselects it"
        if all(case.outcome == "skipped" for case in cases):
            why = f" ({cases[0].message})" if cases[0].message else ""
            return ("", "") if _skips_itself(text, name) else ("weakened", f"it is skipped by what is not its own{why}")
        nodes = frozenset(case.node for case in cases)
        noticed, tried = _notices(judge, plan, run, nodes)
        if noticed:
            return "", ""
        if tried:
            said = "hollow", f"no assertion of it fails for any of {tried} small changes of the lines that it runs"
        elif not any(nodes & reached for reached in run.reached.values()):
            module = relative(plan.code.path or plan.code.module, judge.root)
            said = said if said[0] else ("hollow", f"it runs no line of {module}")
    return said


def _skips_itself(text: Text, name: str) -> bool:
    owner = text.owners.get(name)
    around = skips_around(owner) if owner is not None else []
    return bool(skips_in(text.functions[name], text.tree) or around or skips_around(text.tree))


def _finding(path: str, text: Text, name: str, said: Said, look: Look) -> Finding:
    code, says = said
    own = name in look.changed
    asserts = any(check.rank > HARDLY for check in text.checks[name])
    grave = look.switches if code == "weakened" else own or asserts
    level: Level = "error" if grave else "warning"
    because = "" if own else f"; {look.because} changed, which it depends on"
    hollow = code == "hollow"
    return Finding(
        code="hollow" if hollow else "weakened",
        level=level,
        path=path,
        line=text.functions[name].lineno,
        message=f"it notices nothing: {says}{because}" if hollow else f"{says}{because}",
        mend="let every test run"
        if not hollow
        else "assert the exact result that it is about"
        if own
        else "let it run the code itself, and notice what it does",
        name=name,
    )


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
        fate = trial.against(mutant, cases)
        if fate == "killed":
            return True, tried + 1
        tried += fate != "equivalent"
    return False, tried
